package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) domainSet() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "Change where mail of a domain goes and leaves from, and how far it obeys DMARC", Args: exactly(1)}
	// In this order: as another name a domain cannot have a catch-all.
	settings := []domainSetting{
		{"alias-of", `domain of the same customer that this is another name of; "" = none`, (*service.Service).SetAliasOf},
		{"catch-all", `mailbox or alias that gets mail to addresses that do not exist; "" = it is refused`, (*service.Service).SetCatchAll},
		{"dmarc", "what is done with mail that fails its sender's DMARC policy: obey, junk (never refused) or off", setDMARC},
		{"source", `address of this machine that the domain's mail leaves from; "" = any`, (*service.Service).SetDomainSource},
	}
	for _, s := range settings {
		cmd.Flags().String(s.flag, "", s.usage)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		changed := settings[:0:0]
		for _, s := range settings {
			if cmd.Flags().Changed(s.flag) {
				changed = append(changed, s)
			}
		}
		if len(changed) == 0 {
			return usageError{fmt.Errorf("say what to change: --catch-all, --alias-of, --dmarc or --source")}
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			for _, s := range changed {
				if err := s.set(b.service, ctx, v, args[0], cmd.Flag(s.flag).Value.String()); err != nil {
					return err
				}
			}
			return c.domainIsSet(ctx, b, v, args[0])
		})
	}
	return cmd
}

// domainSetting is a flag of domain set with what it does.
type domainSetting struct {
	flag, usage string
	set         func(s *service.Service, ctx context.Context, v service.Viewer, domain, value string) error
}

func setDMARC(s *service.Service, ctx context.Context, v service.Viewer, domain, value string) error {
	return s.SetDMARCObey(ctx, v, domain, models.DMARCObey(value))
}

func (c *cli) domainIsSet(ctx context.Context, b *base, v service.Viewer, name string) error {
	d, err := b.service.Domain(ctx, v, name)
	if err != nil {
		return err
	}
	if b.service.SourceElsewhere(&d.Domain) {
		fmt.Fprintf(c.stderr, "Warning: this machine does not have the address %s. Mail of %s cannot be sent from here until it does.\n", d.SourceIP, d.Name)
	}
	return c.done(d, "Domain %s is changed.", d.Name)
}
