package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) customerCommand() *cobra.Command {
	return noun("customer", "Customers: who owns domains and mailboxes", c.customerAdd(), c.customerList(), c.customerShow(),
		c.customerLimits(), c.customerSuspend(), c.customerResume(), c.customerRemove())
}

// limitFlags are the limits of a customer; 0 = no limit.
func limitFlags(cmd *cobra.Command) func(models.CustomerLimits) models.CustomerLimits {
	domains := cmd.Flags().Int64("domains", 0, "most domains (0 = no limit)")
	mailboxes := cmd.Flags().Int64("mailboxes", 0, "most mailboxes (0 = no limit)")
	storage := sizeFlag(cmd, "storage", "most bytes given out as quotas, for example 10GB (0 = no limit)")
	return func(l models.CustomerLimits) models.CustomerLimits {
		if cmd.Flags().Changed("domains") {
			l.Domains = *domains
		}
		if cmd.Flags().Changed("mailboxes") {
			l.Mailboxes = *mailboxes
		}
		if cmd.Flags().Changed("storage") {
			l.Storage = int64(*storage)
		}
		return l
	}
}

func (c *cli) customerAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add NAME", Short: "Add a customer", Args: exactly(1)}
	limits := limitFlags(cmd)
	external := cmd.Flags().String("external-id", "", "id of a billing system")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			customer, err := b.service.AddCustomer(ctx, v, service.NewCustomer{Name: args[0], ExternalID: *external, Limits: limits(models.CustomerLimits{})})
			if err != nil {
				return err
			}
			return c.done(customer, "Customer %s added.", customer.Name)
		})
	}
	return cmd
}

func (c *cli) customerList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List customers", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			list, err := all(func(q models.Query) (models.Page[models.Customer], error) { return b.service.Customers(ctx, v, q) }, models.Query{})
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				table(w, "NAME\tDOMAINS\tMAILBOXES\tSTORAGE\tSTATE", func(add func(...any)) {
					for _, x := range list {
						add(x.Name, used(x.Domains, x.MaxDomains), used(x.Mailboxes, x.MaxMailboxes), Size(x.Allocated).String()+" of "+sizeLimit(x.MaxStorage), customerState(x))
					}
				})
			})
		})
	}}
}

func used(n, most int64) string { return fmt.Sprintf("%d of %s", n, limit(most)) }

func customerState(x models.Customer) string {
	if !x.Suspended {
		return "active"
	}
	return "suspended: " + x.Reason
}

func (c *cli) customerShow() *cobra.Command {
	return c.onCustomer("show NAME", "Show a customer", func(ctx context.Context, b *base, v service.Viewer, x *models.Customer) error {
		return c.print(x, func(w io.Writer) {
			fmt.Fprintf(w, "Customer   %s\nState      %s\nDomains    %s\nMailboxes  %s\nStorage    %s of %s given out\n", x.Name, customerState(*x),
				used(x.Domains, x.MaxDomains), used(x.Mailboxes, x.MaxMailboxes), Size(x.Allocated), sizeLimit(x.MaxStorage))
		})
	})
}

// onCustomer makes a command that works on the customer its argument names.
func (c *cli) onCustomer(use, short string, fn func(context.Context, *base, service.Viewer, *models.Customer) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			x, err := b.service.CustomerByName(ctx, v, args[0])
			if err != nil {
				return err
			}
			defer b.db.Told(ctx) // so that it holds at once
			return fn(ctx, b, v, x)
		})
	}}
}

func (c *cli) customerLimits() *cobra.Command {
	var limits func(models.CustomerLimits) models.CustomerLimits
	cmd := c.onCustomer("limits NAME", "Change what a customer may use", func(ctx context.Context, b *base, v service.Viewer, x *models.Customer) error {
		l := limits(models.CustomerLimits{Domains: x.MaxDomains, Mailboxes: x.MaxMailboxes, Storage: x.MaxStorage})
		if err := b.service.SetCustomerLimits(ctx, v, x.ID, l); err != nil {
			return err
		}
		return c.done(l, "Limits of %s: %s domains, %s mailboxes, %s storage.", x.Name, limit(l.Domains), limit(l.Mailboxes), sizeLimit(l.Storage))
	})
	limits = limitFlags(cmd)
	return cmd
}

func (c *cli) customerSuspend() *cobra.Command {
	var reason string
	var receive bool
	cmd := c.onCustomer("suspend NAME", "Stop log-in and sending of a customer's people and mailboxes", func(ctx context.Context, b *base, v service.Viewer, x *models.Customer) error {
		if err := b.service.SuspendCustomer(ctx, v, x.ID, reason, receive); err != nil {
			return err
		}
		return c.done(ok, "Customer %s is suspended.", x.Name)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "shown to the customer's people")
	cmd.Flags().BoolVar(&receive, "receive", false, "stop receiving too")
	return cmd
}

func (c *cli) customerResume() *cobra.Command {
	return c.onCustomer("resume NAME", "End a customer's suspension", func(ctx context.Context, b *base, v service.Viewer, x *models.Customer) error {
		if err := b.service.ResumeCustomer(ctx, v, x.ID); err != nil {
			return err
		}
		return c.done(ok, "Customer %s is active again; each mailbox has its own switches back.", x.Name)
	})
}

func (c *cli) customerRemove() *cobra.Command {
	var purge, yes bool
	cmd := c.onCustomer("rm NAME", "Remove a customer; with --purge its domains, mailboxes and mail too", func(ctx context.Context, b *base, v service.Viewer, x *models.Customer) error {
		if purge {
			if err := c.confirm(yes, x.Name); err != nil {
				return err
			}
		}
		if err := b.service.RemoveCustomer(ctx, v, x.ID, purge); err != nil {
			return err
		}
		return c.done(ok, "Customer %s is removed.", x.Name)
	})
	cmd.Flags().BoolVar(&purge, "purge", false, "remove mailboxes and their mail for good")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
