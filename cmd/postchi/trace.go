package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) traceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trace ADDRESS|MESSAGE-ID|ID|SUBJECT", Short: "Where is a message? What became of it, and what to do", Args: exactly(1)}
	day := cmd.Flags().String("day", "", "only this day, as 2026-11-23, in the server's zone")
	direction := cmd.Flags().String("direction", "", "in or out")
	limit := cmd.Flags().Int("limit", 20, "most messages, at most 100")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f := service.Find{Text: args[0], Direction: *direction, Limit: *limit}
		if *direction != "" && *direction != "in" && *direction != "out" {
			return usageError{fmt.Errorf("--direction is in or out")}
		}
		if *day != "" {
			t, err := time.ParseInLocation(time.DateOnly, *day, time.Local)
			if err != nil {
				return usageError{fmt.Errorf("--day is a day as 2026-11-23")}
			}
			f.From, f.To = models.At(t), models.At(t.AddDate(0, 0, 1))
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			found, err := b.service.Traces(ctx, v, f)
			for err == nil && len(found.Stories) == 0 && found.Until != 0 && !found.OneDay { // nobody waits for a page
				f.Before = found.Until
				found, err = b.service.Traces(ctx, v, f)
			}
			if err != nil {
				return err
			}
			if len(found.Stories) == 0 {
				return models.Errorf(models.NotFound, "trace.none", "No such message was seen%s.", backTo(found))
			}
			words, err := i18n.Load()
			if err != nil {
				return err
			}
			return c.print(traceJSON(found), func(w io.Writer) { printTraces(w, words.Lang("en"), found) })
		})
	}
	return cmd
}

// backTo says how far back was looked, if not to the end.
func backTo(found *service.Found) string {
	if found.Until == 0 {
		return ""
	}
	return " since " + when(found.Until) + "; --day looks at an earlier day"
}

// told is a story with the words for each recipient.
type told struct {
	service.Story
	Words []toldFate `json:"words"`
}

type toldFate struct {
	Recipient string         `json:"recipient,omitempty"`
	State     string         `json:"state"`
	Explained *explain.Words `json:"explained,omitempty"`
}

func traceJSON(found *service.Found) any {
	all := make([]told, len(found.Stories))
	for i, s := range found.Stories {
		all[i].Story = s
		for j := range s.Fates {
			f := &s.Fates[j]
			all[i].Words = append(all[i].Words, toldFate{f.Recipient, f.State, service.Explained(&f.Event, "en")})
		}
	}
	return map[string]any{"messages": all, "until": found.Until}
}

func printTraces(w io.Writer, lang *i18n.Lang, found *service.Found) {
	for i := range found.Stories {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printStory(w, lang, &found.Stories[i])
	}
	if found.Until != 0 {
		fmt.Fprintf(w, "\nOnly messages%s.\n", backTo(found))
	}
}

func printStory(w io.Writer, lang *i18n.Lang, s *service.Story) {
	direction := map[string]string{"in": "received", "out": "sent"}[s.Direction]
	fmt.Fprintf(w, "%s  %s  from <%s>  %s\n  id %s", when(s.At), direction, printable(s.Sender), printable(s.Subject), s.ID)
	if s.MessageID != "" {
		fmt.Fprintf(w, "  Message-ID <%s>", printable(s.MessageID))
	}
	fmt.Fprintln(w)
	for i := range s.Fates {
		f := &s.Fates[i]
		fmt.Fprintf(w, "  * %s\n", printable(lang.Text(f.Key(), sentence(&f.Event)...)))
		if words := service.Explained(&f.Event, "en"); words != nil {
			fmt.Fprintf(w, "    What to do: %s\n", strings.TrimSpace(words.Wait+" "+words.Next))
		}
	}
	for i := range s.Events {
		e := &s.Events[i]
		line := fmt.Sprintf("%s  %-9s", e.At.Time().Local().Format("2006-01-02 15:04:05"), e.Kind)
		for _, part := range []string{e.Recipient, e.Host, e.Remote, e.TLS, e.Enhanced, e.Detail} {
			if part != "" {
				line += "  " + printable(part)
			}
		}
		if e.Kind == models.EventReturned {
			line += "  " + printable(lang.Text(service.StepKey(e), sentence(e)...))
		}
		fmt.Fprintln(w, "    "+line)
	}
	if s.Trace.More {
		fmt.Fprintln(w, "    and more steps")
	}
}

// sentence returns the values of a sentence about a step.
func sentence(e *models.Event) []any {
	host := e.Host
	if host == "" {
		host = e.Remote
	}
	reason := ""
	if words := service.Explained(e, "en"); words != nil {
		reason = words.What
	}
	return []any{"from", "<" + e.Sender + ">", "to", "<" + e.Recipient + ">", "host", host, "time", when(e.At), "next", when(e.Next),
		"detail", e.Detail, "folder", e.Folder, "reason", reason}
}

// printable keeps what others have written from moving the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != '\u200c' {
			return '?'
		}
		return r
	}, s)
}
