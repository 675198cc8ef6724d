package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) userCommand() *cobra.Command {
	return noun("user", "People of the panel: administrators and customers' users", c.userAdd(), c.userPasswd(), c.userList(), c.userRemove())
}

func (c *cli) userAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add EMAIL", Short: "Add a user of the panel", Args: exactly(1)}
	role := cmd.Flags().String("role", "customer", "admin or customer")
	customer := cmd.Flags().String("customer", "", "name of the customer, for role customer")
	name := cmd.Flags().String("name", "", "the person's name")
	stdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *role != string(models.RoleAdmin) && *role != string(models.RoleCustomer) {
			return usageError{fmt.Errorf("--role is admin or customer, not %q", *role)}
		}
		if (*role == string(models.RoleCustomer)) != (*customer != "") {
			return usageError{fmt.Errorf("--customer NAME goes with --role customer")}
		}
		password, err := c.readPassword(*stdin)
		if err != nil {
			return err
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			n := service.NewUser{Email: args[0], Name: *name, Role: models.Role(*role), Password: password}
			if *customer != "" {
				x, err := b.service.CustomerByName(ctx, v, *customer)
				if err != nil {
					return err
				}
				n.CustomerID = x.ID
			}
			u, err := b.service.AddUser(ctx, v, n)
			if err != nil {
				return err
			}
			return c.done(u, "User %s added.", u.Email)
		})
	}
	return cmd
}

func (c *cli) userPasswd() *cobra.Command {
	cmd := &cobra.Command{Use: "passwd EMAIL", Short: "Set a user's password", Args: exactly(1)}
	stdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := c.readPassword(*stdin)
		if err != nil {
			return err
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			u, err := b.service.UserByEmail(ctx, v, args[0])
			if err != nil {
				return err
			}
			if err := b.service.SetUserPassword(ctx, v, u.ID, password); err != nil {
				return err
			}
			return c.done(ok, "The password of %s is changed; open sessions end.", u.Email)
		})
	}
	return cmd
}

func (c *cli) userList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List users", Args: exactly(0)}
	customer := cmd.Flags().String("customer", "", "only those of this customer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			var id models.ID
			if *customer != "" {
				x, err := b.service.CustomerByName(ctx, v, *customer)
				if err != nil {
					return err
				}
				id = x.ID
			}
			users, err := b.service.Users(ctx, v, id)
			if err != nil {
				return err
			}
			return c.print(users, func(w io.Writer) {
				table(w, "EMAIL\tROLE\tNAME\tADDED", func(add func(...any)) {
					for _, u := range users {
						add(u.Email, u.Role, u.Name, when(u.CreatedAt))
					}
				})
			})
		})
	}
	return cmd
}

func (c *cli) userRemove() *cobra.Command {
	return &cobra.Command{Use: "rm EMAIL", Short: "Remove a user", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			u, err := b.service.UserByEmail(ctx, v, args[0])
			if err != nil {
				return err
			}
			if err := b.service.RemoveUser(ctx, v, u.ID); err != nil {
				return err
			}
			return c.done(ok, "User %s is removed.", u.Email)
		})
	}}
}
