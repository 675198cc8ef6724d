package panel

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// wires are the open connections that a fixture pretends to have.
type wires struct {
	open   []models.LiveSession
	others bool
}

func (w *wires) Live(models.ID) []models.LiveSession { return w.open }

func (w *wires) Others(context.Context) (bool, error) { return w.others, nil }

func (w *wires) EndSession(_ models.ID, id int64) bool {
	for i, l := range w.open {
		if l.ID == id {
			w.open = append(w.open[:i:i], w.open[i+1:]...)
			return true
		}
	}
	return false
}

// TestConnections shows and ends them, without script and in both languages.
func TestConnections(t *testing.T) {
	for lang, words := range map[string][3]string{"en": {"No mail program is connected", "more servers", "Last use"}, "fa": {"هیچ برنامهٔ ایمیلی متصل نیست", "سرورهای دیگری", "آخرین استفادهٔ"}} {
		f, _ := filled(t)
		w := f.wires
		b := f.browser()
		b.lang = lang
		b.login(ownerEmail, ownerPassword)
		const page = "/mailboxes/sara@example.com"
		a := b.get(page)
		a.has(t, words[0], words[2], "&lt;i&gt;evil&lt;/i&gt;")
		a.hasNot(t, words[1], `id="end-all"`)
		w.open = []models.LiveSession{{ID: 7, Protocol: models.ProtoIMAP, Network: "203.0.113.7", Client: "<b>mutt", Since: 1}, {ID: 8, Protocol: models.ProtoPOP3, Network: "2001:db8::/64", Since: 2}}
		w.others = true
		a = b.get(page)
		a.has(t, words[1], `value="7"`, "&lt;b&gt;mutt", "203.0.113.7", `value="8"`, `id="end-all"`)
		a.hasNot(t, words[0])
		for _, number := range []string{"7", "9", "x"} {
			if a := b.post(page+"/sessions", "session", number); a.code != http.StatusSeeOther || a.location != page {
				t.Errorf("%s: %d %s", number, a.code, a.location)
			}
		}
		if a := b.get(page); strings.Contains(a.body, `value="7"`) || len(w.open) != 1 {
			t.Errorf("the connection is still there: %+v", w.open)
		}
		b.post(page + "/sessions")
		row, err := f.service.Mailbox(t.Context(), service.Console(), "sara@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if account, err := f.store.AccountByID(t.Context(), models.AccountMailbox, row.ID); err != nil || account.Logouts != 1 {
			t.Errorf("%+v, %v", account, err)
		}
	}
}
