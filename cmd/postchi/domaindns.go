package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/mailserver/dnsinfo"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

// claimOf limits the viewer to one customer, whose claim of a domain is then meant.
func claimOf(ctx context.Context, b *base, v service.Viewer, customer string) (service.Viewer, error) {
	if customer == "" {
		return v, nil
	}
	x, err := b.service.CustomerByName(ctx, v, customer)
	if err != nil {
		return v, err
	}
	return service.Viewer{Role: models.RoleCustomer, CustomerID: x.ID, Name: v.Name}, nil
}

const customerFlag = "whose claim, where several customers added the domain"

// onClaim is a command about a customer's claim of a domain, with the flag --customer.
func (c *cli) onClaim(use, short string, fn func(ctx context.Context, b *base, v service.Viewer, name string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: exactly(1)}
	customer := cmd.Flags().String("customer", "", customerFlag)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			v, err := claimOf(ctx, b, v, *customer)
			if err != nil {
				return err
			}
			return fn(ctx, b, v, args[0])
		})
	}
	return cmd
}

func (c *cli) domainDNS() *cobra.Command {
	var zone, csv bool
	cmd := c.onClaim("dns NAME", "Print the DNS records that a domain needs, with the verdicts of the last check", func(ctx context.Context, b *base, v service.Viewer, name string) error {
		switch {
		case zone:
			return c.printText(b.service.DNSZone(ctx, v, name))
		case csv:
			return c.printText(b.service.DNSCSV(ctx, v, name))
		}
		r, err := b.service.DNS(ctx, v, name)
		if err != nil {
			return err
		}
		return c.printDNS(r)
	})
	cmd.Flags().BoolVar(&zone, "zone", false, "as a zone file")
	cmd.Flags().BoolVar(&csv, "csv", false, "as a table for spreadsheets")
	cmd.MarkFlagsMutuallyExclusive("zone", "csv")
	return cmd
}

// printText prints a file's text, unless there is none.
func (c *cli) printText(_, text string, err error) error {
	if err == nil {
		_, err = fmt.Fprint(c.stdout, text)
	}
	return err
}

// printDNS prints a report.
func (c *cli) printDNS(r *models.DNSReport) error {
	words, err := i18n.Load()
	if err != nil {
		return err
	}
	return c.print(r, func(w io.Writer) { printReport(w, words.Lang("en"), r) })
}

// printReport prints each record with its verdict and, where they differ, what was found.
func printReport(w io.Writer, lang *i18n.Lang, r *models.DNSReport) {
	checked := "never"
	if r.CheckedAt != 0 {
		checked = when(r.CheckedAt)
	}
	fmt.Fprintf(w, "%s: %s, checked %s\n\n", r.Domain, r.Health, checked)
	table(w, "VERDICT\tTYPE\tNAME\tVALUE", func(add func(...any)) {
		for i := range r.Results {
			row := &r.Results[i]
			verdict := string(row.Verdict)
			if verdict == "" {
				verdict = "-"
			}
			if row.Optional {
				verdict += " (optional)"
			}
			value := row.Value
			if row.Type == "TXT" {
				value = dnsinfo.Quote(row.Strings)
			}
			add(verdict, row.Type, row.FullName, value)
			for _, found := range row.Found {
				add("", "", "  found", found)
			}
			for _, key := range row.Notes {
				add("", "", "  note", noteText(lang, key, row.Args))
			}
		}
	})
}

// noteText is a note of a record in words.
func noteText(lang *i18n.Lang, key string, args map[string]string) string {
	key = "dns.note." + key
	if !lang.Has(key) {
		return key // kept by another version
	}
	var pairs []any
	for name, value := range args {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && name == "n" {
			pairs = append(pairs, name, n)
			continue
		}
		pairs = append(pairs, name, i18n.LTR(printable(value)))
	}
	return lang.Text(key, pairs...)
}

func (c *cli) domainCheck() *cobra.Command {
	const short = "Look at the DNS of a domain now; status 1 if something needed is missing or wrong, 75 if it is not known yet"
	return c.onClaim("check NAME", short, func(ctx context.Context, b *base, v service.Viewer, name string) error {
		r, err := b.service.CheckDNS(ctx, v, name)
		if err != nil {
			return err
		}
		if err := c.printDNS(r); err != nil {
			return err
		}
		switch r.Health {
		case models.DNSHealthOK:
			return nil
		case models.DNSHealthBad:
			return models.Errorf(models.Conflict, "dns.bad", "Something that %s needs is missing or wrong in the DNS.", r.Domain)
		}
		return models.Errorf(models.Unavailable, "dns.later", "The DNS of %s is not known everywhere yet; check again later.", r.Domain)
	})
}

func (c *cli) domainProof() *cobra.Command {
	return c.onClaim("proof NAME", "Print the DNS record that proves who owns a domain", func(ctx context.Context, b *base, v service.Viewer, name string) error {
		p, err := b.service.Proof(ctx, v, name)
		if err != nil {
			return err
		}
		return c.print(p, func(w io.Writer) { printProof(w, p) })
	})
}

func printProof(w io.Writer, p *service.Proof) {
	switch {
	case p.State == models.DomainActive:
		fmt.Fprintf(w, "%s is active; there is nothing to prove.\n", p.Domain)
	case p.Held:
		fmt.Fprintf(w, "%s is proven, but another customer's claim is active. To hand it over: postchi domain activate %s --customer NAME --take\n", p.Domain, p.Domain)
	default:
		fmt.Fprintf(w, "%s IN TXT %q\n", p.Name+".", p.Value)
	}
}

func (c *cli) domainRotate() *cobra.Command {
	return c.onClaim("rotate NAME", "Make new DKIM keys; they sign once the DNS shows them", func(ctx context.Context, b *base, v service.Viewer, name string) error {
		if err := b.service.RotateKeys(ctx, v, name); err != nil {
			return err
		}
		return c.done(ok, "New keys are made. Publish their records (postchi domain dns %s); the old ones sign until then.", name)
	})
}
