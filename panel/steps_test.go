package panel

import (
	"os"
	"regexp"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

var reportKind = regexp.MustCompile(`\b[A-Z][a-z]+ +Kind = "([a-z]+)"`)

// Whatever a sender was told, the trace says that, and not something worse.
func TestEveryReportHasItsWords(t *testing.T) {
	source, err := os.ReadFile("../mailserver/dsn/dsn.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := append(reportKind.FindAllSubmatch(source, -1), [][]byte{nil, []byte("untold")})
	if len(kinds) < 5 {
		t.Fatalf("only %d kinds of reports found", len(kinds))
	}
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"en", "fa"} {
		said := map[string]string{}
		for _, m := range kinds {
			e := models.Event{Kind: models.EventReturned, Words: "returned." + string(m[1]), Recipient: "omid@example.net"}
			key := service.StepKey(&e)
			if !c.Lang(code).Has(key) {
				t.Errorf("%s: no words for %s", code, key)
				continue
			}
			words := c.Lang(code).Text(key, "to", "omid@example.net")
			if other := said[words]; other != "" {
				t.Errorf("%s: %s and %s are told alike", code, key, other)
			}
			said[words] = key
		}
	}
}

// What the trace says of a fault of ours is what the report to the sender says.
func TestFaultsAreExplainedByTheirReason(t *testing.T) {
	for words, waits := range map[string]bool{"deferred.route": true, "bounced.route": false} {
		e := models.Event{Kind: models.EventBounced, Words: words, Enhanced: "4.3.0", Detail: "how the message leaves cannot be found out at the moment"}
		if waits {
			e.Kind = models.EventDeferred
		}
		got, want := service.Explained(&e, "fa"), explain.Attempt("route", 0, "4.3.0", "", "fa")
		if got.What != want.What || got.Next != want.Next || got.Key != "fault.route" || (got.Wait != "") != waits {
			t.Errorf("%s: %+v", words, got)
		}
	}
}
