package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/panel/service"
)

func (c *cli) authCommand() *cobra.Command {
	return noun("auth", "Log-ins", c.authUnblock())
}

func (c *cli) authUnblock() *cobra.Command {
	return &cobra.Command{Use: "unblock ADDRESS|NETWORK", Short: "Let a mailbox, or a network, try to log in again", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			var err error
			if strings.Contains(args[0], "@") {
				err = b.service.Unblock(ctx, v, args[0], "")
			} else {
				err = b.service.UnblockNetwork(ctx, v, args[0])
			}
			if err != nil {
				return err
			}
			return c.done(ok, "%s can log in again.", args[0])
		})
	}}
}
