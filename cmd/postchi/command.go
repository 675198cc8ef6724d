package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// commandTimeout bounds a command; removing a large mailbox takes longest.
const commandTimeout = 10 * time.Minute

// with opens what a command works on, runs fn as the console's viewer, and closes it again. A
// command run by root becomes the owner of the data folder first.
func (c *cli) with(cmd *cobra.Command, fn func(ctx context.Context, b *base, v service.Viewer) error) error {
	return c.within(cmd, commandTimeout, fn)
}

// within is with in another time; 0 is none.
func (c *cli) within(cmd *cobra.Command, limit time.Duration, fn func(ctx context.Context, b *base, v service.Viewer) error) error {
	config, err := c.loadConfig()
	if err != nil {
		return err
	}
	if err := becomeOwner(config.DataDir, config.User); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	if limit > 0 {
		ctx, cancel = context.WithTimeout(cmd.Context(), limit)
	}
	defer cancel()
	config.Log.Level = quieter(config.Log.Level)
	b, err := openBase(ctx, config, newLogger(config, c.stderr), "command")
	if err != nil {
		return err
	}
	if err := b.openService(nil); err != nil {
		return errors.Join(err, b.close())
	}
	return errors.Join(fn(ctx, b, service.Console()), b.close())
}

// quieter keeps a command's output to what it was asked for, unless somebody debugs.
func quieter(level string) string {
	if level == "debug" {
		return level
	}
	return "warn"
}

// readPassword reads a password from standard input, with --password-stdin or from a pipe, or
// asks for it twice on a terminal. One final newline is no part of it, and nothing else is
// taken away.
func (c *cli) readPassword(fromStdin bool) (string, error) {
	file, ok := c.stdin.(*os.File)
	if !fromStdin && ok && term.IsTerminal(int(file.Fd())) {
		return c.askPassword(int(file.Fd()))
	}
	if !fromStdin {
		return "", usageError{errors.New("no terminal to ask for the password; give it on standard input with --password-stdin")}
	}
	b, err := io.ReadAll(io.LimitReader(c.stdin, 4096))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

func (c *cli) askPassword(fd int) (string, error) {
	fmt.Fprint(c.stderr, "Password: ")
	first, err := term.ReadPassword(fd)
	fmt.Fprintln(c.stderr)
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.stderr, "Again: ")
	second, err := term.ReadPassword(fd)
	fmt.Fprintln(c.stderr)
	if err != nil {
		return "", err
	}
	if string(first) != string(second) {
		return "", models.Errorf(models.Invalid, "password.differ", "The two passwords differ.")
	}
	return string(first), nil
}

// confirm asks for the word before something that cannot be undone; --yes answers it.
func (c *cli) confirm(yes bool, word string) error {
	return c.agree(yes, "this cannot be undone", "--yes", word)
}

// agree asks for the word, unless it was agreed by flag, before something of which people should
// know what it does.
func (c *cli) agree(agreed bool, what, flag, word string) error {
	if agreed {
		return nil
	}
	file, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return usageError{fmt.Errorf("%s; add %s to do it without a question", what, flag)}
	}
	fmt.Fprintf(c.stderr, "%s. Type %s to go on: ", strings.ToUpper(what[:1])+what[1:], word)
	line, err := bufio.NewReader(file).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != word {
		return models.Errorf(models.Invalid, "confirm", "Nothing was done.")
	}
	return nil
}

// done prints one line, or the result as JSON.
func (c *cli) done(v any, format string, args ...any) error {
	return c.print(v, func(w io.Writer) { fmt.Fprintf(w, format+"\n", args...) })
}

// ok is the JSON of a command without a result of its own.
var ok = map[string]bool{"ok": true}

// table prints rows in columns.
func table(w io.Writer, header string, rows func(add func(cells ...any))) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, header)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	})
	t.Flush()
}

// sizeFlag is a flag of bytes.
func sizeFlag(cmd *cobra.Command, name, usage string) *Size {
	s := new(Size)
	cmd.Flags().Var((*sizeValue)(s), name, usage)
	return s
}

type sizeValue Size

func (s *sizeValue) Set(text string) error {
	n, err := ParseSize(text)
	*s = sizeValue(n)
	return err
}
func (s *sizeValue) String() string { return Size(*s).String() }
func (s *sizeValue) Type() string   { return "size" }

// limit prints a limit of which 0 is none.
func limit(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprint(n)
}

func sizeLimit(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return Size(n).String()
}

func when(m models.Micros) string {
	if m == 0 {
		return "never"
	}
	return m.Time().Local().Format("2006-01-02 15:04")
}

// all fetches every page of a list.
func all[T any](fetch func(models.Query) (models.Page[T], error), q models.Query) ([]T, error) {
	q.Size = models.MaxPageSize
	items := []T{}
	for q.Page = 1; ; q.Page++ {
		page, err := fetch(q)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if q.Page >= page.Pages {
			return items, nil
		}
	}
}
