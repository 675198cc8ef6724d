package migrations_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/migrations"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

var quiet = slog.New(slog.DiscardHandler)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS("."), dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestFoldersHaveTheSameSteps(t *testing.T) {
	if a, b := names(t, "sqlite"), names(t, "mysql"); !reflect.DeepEqual(a, b) {
		t.Errorf("sqlite has %v, mysql has %v", a, b)
	}
}

// TestEveryFieldHasItsColumn reads each record's columns from each database, as gorm would.
func TestEveryFieldHasItsColumn(t *testing.T) {
	records := []interface{ TableName() string }{models.Customer{}, models.User{}, models.Domain{}, models.Mailbox{}, models.Address{}, models.Login{}, models.LoginBlock{}, models.Event{}, models.Alias{},
		models.Target{}, models.AutoReply{}, models.QueueItem{}, models.QueueRecipient{}, models.Suppression{}, models.Relay{}, models.DKIMKey{}, models.DNSCheck{}}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, r := range records {
			var columns []string
			typ := reflect.TypeOf(r)
			for i := range typ.NumField() {
				tag := typ.Field(i).Tag.Get("gorm")
				name, ok := strings.CutPrefix(strings.Split(tag, ";")[0], "column:")
				if !ok {
					t.Errorf("%s.%s names no column", typ.Name(), typ.Field(i).Name)
					continue
				}
				columns = append(columns, name)
			}
			rows, err := d.SQL().Query("SELECT " + strings.Join(columns, ", ") + " FROM " + r.TableName())
			if err != nil {
				t.Errorf("%s: %v", typ.Name(), err)
				continue
			}
			rows.Close()
		}
	})
}

// TestBothDialectsHaveTheSameColumns compares the tables as the databases report them.
func TestBothDialectsHaveTheSameColumns(t *testing.T) {
	lite, my := dbtest.Open(t, dbtest.SQLite(t)), dbtest.Open(t, dbtest.MySQL(t))
	tables := column(t, lite.SQL(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'")
	if len(tables) < 15 {
		t.Fatalf("only %d tables", len(tables))
	}
	for _, table := range tables {
		a := column(t, lite.SQL(), "SELECT name FROM pragma_table_info('"+table+"') ORDER BY name")
		b := column(t, my.SQL(), "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '"+table+"' ORDER BY column_name")
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: sqlite has %v, mysql has %v", table, a, b)
		}
	}
}

func column(t *testing.T, pool *sql.DB, query string) []string {
	t.Helper()
	rows, err := pool.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		pool, dialect, err := db.OpenPool(config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if _, err := pool.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
			t.Fatal(err)
		}
		if _, err := migrations.Apply(t.Context(), pool, dialect.String(), quiet); !models.Is(err, models.Invalid) {
			t.Fatalf("a newer schema was not refused: %v", err)
		}
	})
}

// TestAnInterruptedStepResumes undoes the record of each step, as if the process had died
// before it was written, drops half of the step's tables, and applies again.
func TestAnInterruptedStepResumes(t *testing.T) {
	config := dbtest.MySQL(t) // on SQLite a step is one transaction
	pool, dialect, err := db.OpenPool(config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, file := range names(t, "mysql") {
		step, err := os.ReadFile("mysql/" + file)
		if err != nil {
			t.Fatal(err)
		}
		statements := strings.Split(strings.TrimSpace(string(step)), ";")
		for done := range len(statements) - 1 {
			rewind(t, pool, file, statements[done:])
			if _, err := migrations.Apply(t.Context(), pool, dialect.String(), quiet); err != nil {
				t.Fatalf("%s interrupted after %d statements: %v", file, done, err)
			}
		}
	}
}

func rewind(t *testing.T, pool *sql.DB, file string, undone []string) {
	t.Helper()
	for _, statement := range undone {
		_, rest, ok := strings.Cut(statement, "CREATE TABLE IF NOT EXISTS ")
		if !ok {
			continue
		}
		if _, err := pool.Exec("DROP TABLE " + strings.Fields(rest)[0]); err != nil {
			t.Fatal(err)
		}
	}
	version := strings.TrimLeft(strings.Split(file, "_")[0], "0")
	if _, err := pool.Exec("DELETE FROM goose_db_version WHERE version_id >= " + version); err != nil {
		t.Fatal(err)
	}
}

func TestApplyTwiceDoesNothing(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		pool, dialect, err := db.OpenPool(config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		n, err := migrations.Apply(t.Context(), pool, dialect.String(), quiet)
		if err != nil || n != 0 {
			t.Fatalf("%d steps, %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := migrations.Apply(ctx, pool, dialect.String(), quiet); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled context: %v", err)
		}
	})
}
