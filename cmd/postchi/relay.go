package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) relayCommand() *cobra.Command {
	return noun("relay", "Smarthosts for outgoing mail", c.relaySet(), c.relayList(), c.relayRemove())
}

// ofServer is how the server is named where domains and mailboxes are.
const ofServer = "server"

// relayOwner is the owner as the service names it.
func relayOwner(arg string) string {
	if arg == ofServer {
		return ""
	}
	return arg
}

func (c *cli) relaySet() *cobra.Command {
	cmd := &cobra.Command{Use: "set server|DOMAIN|ADDRESS HOST[:PORT]", Short: "Hand outgoing mail of the server, a domain or a mailbox to another server", Args: exactly(2)}
	security := cmd.Flags().String("security", string(models.RelayStartTLS), "starttls, tls or none")
	username := cmd.Flags().String("username", "", "user name; the password is read")
	clear := cmd.Flags().Bool("in-clear", false, "with --security none: do not ask whether everybody on the way may read along")
	stdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n := service.NewRelay{Owner: relayOwner(args[0]), Host: args[1], Security: models.RelaySecurity(*security), Username: *username}
		if host, port, err := net.SplitHostPort(args[1]); err == nil {
			if n.Port, err = strconv.Atoi(port); err != nil {
				return usageError{fmt.Errorf("%q is no port", port)}
			}
			n.Host = host
		}
		if n.Clear = n.Security == models.RelayNone; n.Clear {
			if err := c.agree(*clear, inClear(&n), "--in-clear", "clear"); err != nil {
				return err
			}
		}
		if *username != "" {
			var err error
			if n.Password, err = c.readPassword(*stdin); err != nil {
				return err
			}
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			if err := b.service.SetRelay(ctx, v, n); err != nil {
				return err
			}
			return c.done(ok, "Mail of %s goes by %s.", args[0], n.Host)
		})
	}
	return cmd
}

// inClear says what security none does.
func inClear(n *service.NewRelay) string {
	if n.Username != "" {
		return "without TLS the user name, the password and all mail go to " + n.Host + " in clear: everybody on the way can read and change them"
	}
	return "without TLS all mail goes to " + n.Host + " in clear: everybody on the way can read and change it"
}

func (c *cli) relayList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List smarthosts", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			list, err := b.service.Relays(ctx, v)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				table(w, "OF\tHOST\tPORT\tSECURITY\tUSER", func(add func(...any)) {
					for _, r := range list {
						owner := r.Owner
						if owner == "" {
							owner = ofServer
						}
						security := string(r.Security)
						if r.Security == models.RelayNone {
							security += " (IN CLEAR)"
						}
						add(owner, r.Host, r.Port, security, r.Username)
					}
				})
			})
		})
	}}
}

func (c *cli) relayRemove() *cobra.Command {
	return &cobra.Command{Use: "rm server|DOMAIN|ADDRESS", Short: "Remove a smarthost", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			if err := b.service.RemoveRelay(ctx, v, relayOwner(args[0])); err != nil {
				return err
			}
			return c.done(ok, "The smarthost of %s is removed.", args[0])
		})
	}}
}
