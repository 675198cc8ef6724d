package mailstore_test

import (
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestContractWithSegments(t *testing.T) {
	for name, config := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "mysql": dbtest.MySQL} {
		t.Run(name, func(t *testing.T) {
			mailstoretest.Run(t, func(t *testing.T) mailstoretest.Opener {
				c := config(t)
				return func(t testing.TB) *mailstoretest.Instance { return mailstoretest.Seg(t, c) }
			})
		})
	}
}
