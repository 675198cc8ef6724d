package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) domainCommand() *cobra.Command {
	return noun("domain", "Mail domains", c.domainAdd(), c.domainList(), c.domainShow(), c.domainSet(), c.domainDNS(), c.domainCheck(), c.domainProof(),
		c.domainRotate(), c.domainActivate(), c.domainRemove())
}

func (c *cli) domainAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add NAME", Short: "Add a domain to a customer", Args: exactly(1)}
	customer := cmd.Flags().String("customer", "", "name of the customer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *customer == "" {
			return usageError{fmt.Errorf("--customer NAME is missing")}
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			x, err := b.service.CustomerByName(ctx, v, *customer)
			if err != nil {
				return err
			}
			d, err := b.service.AddDomain(ctx, v, service.NewDomain{Name: args[0], CustomerID: x.ID})
			if err != nil {
				return err
			}
			return c.done(d, "Domain %s added to %s.", d.Name, x.Name)
		})
	}
	return cmd
}

func (c *cli) domainList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List domains", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			list, err := all(func(q models.Query) (models.Page[models.DomainRow], error) { return b.service.Domains(ctx, v, q) }, models.Query{})
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				table(w, "DOMAIN\tCUSTOMER\tMAILBOXES\tUSED\tSTATE", func(add func(...any)) {
					for _, d := range list {
						add(d.Name, d.Customer, d.Mailboxes, Size(d.Used), d.State)
					}
				})
			})
		})
	}}
}

func (c *cli) domainShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a domain", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			d, err := b.service.Domain(ctx, v, args[0])
			if err != nil {
				return err
			}
			return c.print(d, func(w io.Writer) {
				fmt.Fprintf(w, "Domain     %s\nCustomer   %s\nState      %s\nMailboxes  %d\nUsed       %s of %s given out\nAdded      %s\n",
					d.Name, d.Customer, d.State, d.Mailboxes, Size(d.Used), Size(d.Allocated), when(d.CreatedAt))
				if d.SourceIP != "" {
					fmt.Fprintf(w, "Sends from %s\n", d.SourceIP)
				}
			})
		})
	}}
}

func (c *cli) domainActivate() *cobra.Command {
	cmd := &cobra.Command{Use: "activate NAME", Short: "Let a domain that waits for proof of its owner receive mail", Args: exactly(1)}
	customer := cmd.Flags().String("customer", "", customerFlag)
	take := cmd.Flags().Bool("take", false, "take it from the customer whose claim is active")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			var id models.ID
			if *customer != "" {
				x, err := b.service.CustomerByName(ctx, v, *customer)
				if err != nil {
					return err
				}
				id = x.ID
			}
			activate := b.service.ActivateDomain
			if *take {
				activate = b.service.TakeDomain
			}
			if err := activate(ctx, v, args[0], id); err != nil {
				return err
			}
			return c.done(ok, "Domain %s is active.", args[0])
		})
	}
	return cmd
}

func (c *cli) domainRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "rm NAME", Short: "Remove a domain; with --purge its mailboxes and mail too", Args: exactly(1)}
	purge := cmd.Flags().Bool("purge", false, "remove mailboxes and their mail for good")
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			if *purge {
				if err := c.confirm(*yes, args[0]); err != nil {
					return err
				}
			}
			if err := b.service.RemoveDomain(ctx, v, args[0], *purge); err != nil {
				return err
			}
			return c.done(ok, "Domain %s is removed.", args[0])
		})
	}
	return cmd
}
