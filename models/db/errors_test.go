package db_test

import (
	"errors"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestFullDatabaseIsToldFromOtherFailures(t *testing.T) {
	pool, _, err := db.OpenPool(dbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1) // the pragma is of the connection
	if _, err := pool.Exec("PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err) // SQLite keeps the pages there are
	}
	insert := func() error {
		_, err := pool.Exec("INSERT INTO settings (name, value) VALUES ('big', ?)", string(make([]byte, 1<<20)))
		return err
	}
	err = db.Failure(insert())
	var e *models.Error
	if !db.IsFull(err) || !errors.As(err, &e) || e.Kind != models.Unavailable || e.Key != "store.full" {
		t.Errorf("no room: %v", err)
	}
	if _, err := pool.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	if err := insert(); err == nil || db.IsFull(err) {
		t.Errorf("duplicate: %v", err)
	}
	if db.IsFull(nil) || db.IsFull(errors.New("disk full")) {
		t.Error("anything is taken for a full database")
	}
}
