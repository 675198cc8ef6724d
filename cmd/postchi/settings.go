package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/mailserver/certs"
	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) settingsCommand() *cobra.Command {
	return &cobra.Command{Use: "settings ADDRESS", Short: "Print what a mail client needs to know of a mailbox", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			m, err := b.service.Mailbox(ctx, v, args[0])
			if err != nil {
				return err
			}
			var source *certs.Source
			ports := configuredPort(b.config)
			if b.config.TLS.Mode != "dev" {
				if source, err = b.openCerts(ctx, ports("http"), ports("https")); err != nil {
					return err
				}
			}
			settings := clientsetup.New(clientsetup.Input{Server: offered(b.config, ports, source), Address: m.Address})
			return c.print(settings, func(w io.Writer) { fmt.Fprint(w, settings.Text(clientsetup.English)) })
		})
	}}
}

// configuredPort gives a service's first port in the configuration; 0 = it is off.
func configuredPort(config *Config) func(name string) int {
	services := config.Listen.all()
	return func(name string) int {
		if len(services[name]) == 0 {
			return 0
		}
		_, port, err := net.SplitHostPort(services[name][0])
		if err != nil {
			return 0
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			n, _ = net.LookupPort("tcp", port)
		}
		return n
	}
}
