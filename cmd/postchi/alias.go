package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) aliasCommand() *cobra.Command {
	return noun("alias", "Addresses that lead to others", c.aliasAdd(), c.aliasList(), c.aliasShow(), c.aliasSwitch("off", true), c.aliasSwitch("on", false), c.aliasTest(), c.aliasRemove())
}

// atLeast is cobra.MinimumNArgs with a mistake in usage.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.MinimumNArgs(n)(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

func (c *cli) aliasAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add ADDRESS TARGET...", Short: "Add an alias, or set where an existing one leads", Args: atLeast(2)}
	group := cmd.Flags().Bool("group", false, "a group: senders hear nothing of single members")
	name := cmd.Flags().String("name", "", "name shown to people")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := models.AliasPlain
		if *group {
			kind = models.AliasGroup
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			at := strings.LastIndexByte(args[0], '@')
			_, err := b.service.AddAlias(ctx, v, service.NewAlias{Local: args[0], Domain: args[0][at+1:], Kind: kind, Name: *name, Targets: args[1:]})
			for _, e := range models.Errors(err) {
				if e.Key == "alias.taken" {
					err = b.service.EditAlias(ctx, v, args[0], service.AliasChange{Kind: kind, Name: *name, Targets: args[1:]})
					break
				}
			}
			if err != nil {
				return err
			}
			a, err := b.service.Alias(ctx, v, args[0])
			if err != nil {
				return err
			}
			return c.done(a, "%s leads to %s.", a.Address, targetsText(a.Targets))
		})
	}
	return cmd
}

// targetsText lists targets with what keeps one from getting mail.
func targetsText(targets []service.TargetView) string {
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = t.Address
		switch t.State {
		case service.TargetMailbox, service.TargetAlias, service.TargetVerified, "role":
		default:
			all[i] += " (" + t.State + ")"
		}
	}
	return strings.Join(all, ", ")
}

func (c *cli) aliasList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List aliases", Args: exactly(0)}
	domain := cmd.Flags().String("domain", "", "only those of this domain")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			var q models.Query
			if *domain != "" {
				d, err := b.service.Domain(ctx, v, *domain)
				if err != nil {
					return err
				}
				q.DomainID = d.ID
			}
			list, err := all(func(q models.Query) (models.Page[service.AliasView], error) { return b.service.Aliases(ctx, v, q) }, q)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				table(w, "ADDRESS\tKIND\tSTATE\tLEADS TO", func(add func(...any)) {
					for _, a := range list {
						add(a.Address, a.Kind, aliasState(&a), targetsText(a.Targets))
					}
				})
			})
		})
	}
	return cmd
}

func aliasState(a *service.AliasView) string {
	switch {
	case a.Off:
		return "off"
	case a.Dead():
		return "leads nowhere"
	}
	return "on"
}

// onAlias makes a command that works on the alias its argument names.
func (c *cli) onAlias(use, short string, fn func(context.Context, *base, service.Viewer, string) error) *cobra.Command {
	return c.onMailbox(use, short, fn)
}

func (c *cli) aliasShow() *cobra.Command {
	return c.onAlias("show ADDRESS", "Show an alias", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		a, err := b.service.Alias(ctx, v, address)
		if err != nil {
			return err
		}
		return c.print(a, func(w io.Writer) {
			fmt.Fprintf(w, "Alias     %s\nKind      %s\nName      %s\nCustomer  %s\nState     %s\nMade      %s\n", a.Address, a.Kind, a.Name, a.Customer, aliasState(a), when(a.CreatedAt))
			for _, t := range a.Targets {
				fmt.Fprintf(w, "To        %s (%s)\n", t.Address, t.State)
			}
		})
	})
}

func (c *cli) aliasSwitch(verb string, off bool) *cobra.Command {
	return c.onAlias(verb+" ADDRESS", "Switch an alias "+verb, func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.SwitchAlias(ctx, v, address, off); err != nil {
			return err
		}
		return c.done(ok, "%s is %s.", address, verb)
	})
}

func (c *cli) aliasRemove() *cobra.Command {
	return c.onAlias("rm ADDRESS", "Remove an alias", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.RemoveAlias(ctx, v, address); err != nil {
			return err
		}
		return c.done(ok, "%s is removed.", address)
	})
}

// explained is the JSON of alias test.
type explained struct {
	Address string             `json:"address"`
	Steps   []models.RouteStep `json:"steps"`
	Local   []string           `json:"local"`             // mailboxes here that get it
	Remote  []string           `json:"remote"`            // addresses elsewhere that get it
	Refused string             `json:"refused,omitempty"` // what a sender is told
}

var stepWords = map[models.RouteStepKind]string{
	models.StepMailbox: "is a mailbox", models.StepForwardOnly: "is a mailbox that keeps nothing of what it forwards", models.StepAlias: "is an alias", models.StepGroup: "is a group",
	models.StepDomainAlias: "is another name of", models.StepRole: "is read by", models.StepCatchAll: "does not exist; the catch-all sends it to",
	models.StepOutside: "is elsewhere", models.StepUnverified: "is elsewhere and has not agreed: left out", models.StepOff: "takes no mail now",
	models.StepUnknown: "does not exist", models.StepSeen: "was met before: left out", models.StepTooMuch: "leads to too much",
}

func (c *cli) aliasTest() *cobra.Command {
	return c.onAlias("test ADDRESS", "Explain where mail to an address goes", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		route, err := b.service.Explain(ctx, v, address)
		if route == nil {
			return err
		}
		out := explained{Address: route.Address, Steps: route.Steps, Local: []string{}, Remote: []string{}}
		for _, r := range route.Local {
			out.Local = append(out.Local, r.Mailbox)
		}
		for _, r := range route.Remote {
			out.Remote = append(out.Remote, r.Address)
		}
		if all := models.Errors(err); len(all) > 0 {
			out.Refused = all[0].Msg
		}
		return c.print(out, func(w io.Writer) {
			for _, s := range out.Steps {
				fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s%s %s %s %s", strings.Repeat("  ", s.Depth), s.Address, stepWords[s.Kind], s.To, s.Reason), " "))
			}
			if out.Refused != "" {
				fmt.Fprintf(w, "Refused: %s\n", out.Refused)
			}
		})
	})
}
