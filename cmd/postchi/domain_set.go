package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) domainSet() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "Change where mail of a domain goes, and how far it obeys DMARC", Args: exactly(1)}
	catchAll := cmd.Flags().String("catch-all", "", `mailbox or alias that gets mail to addresses that do not exist; "" = it is refused`)
	aliasOf := cmd.Flags().String("alias-of", "", `domain of the same customer that this is another name of; "" = none`)
	dmarc := cmd.Flags().String("dmarc", "", `what is done with mail that fails its sender's DMARC policy: obey, junk (never refused) or off`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		catch, alias := cmd.Flags().Changed("catch-all"), cmd.Flags().Changed("alias-of")
		if !catch && !alias && *dmarc == "" {
			return usageError{fmt.Errorf("say what to change: --catch-all, --alias-of or --dmarc")}
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			if alias {
				if err := b.service.SetAliasOf(ctx, v, args[0], *aliasOf); err != nil {
					return err
				}
			}
			if catch {
				if err := b.service.SetCatchAll(ctx, v, args[0], *catchAll); err != nil {
					return err
				}
			}
			if *dmarc != "" {
				if err := b.service.SetDMARCObey(ctx, v, args[0], models.DMARCObey(*dmarc)); err != nil {
					return err
				}
			}
			d, err := b.service.Domain(ctx, v, args[0])
			if err != nil {
				return err
			}
			return c.done(d, "Domain %s is changed.", d.Name)
		})
	}
	return cmd
}
