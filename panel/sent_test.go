package panel

import (
	"testing"

	"github.com/postchi/postchi/models"
)

// TestSentOfLimit shows each person what was sent today, beside the limit that holds for them.
func TestSentOfLimit(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	f.owner("Other", "omid@other.example", "example.net")
	f.mailbox("busy", "example.com")
	count := func(address string, n int64) {
		t.Helper()
		row := f.row(address)
		if err := f.store.CountSending(t.Context(), models.SendingLimits{}, row.ID, row.DomainID, n); err != nil {
			t.Fatal(err)
		}
	}
	count("info@example.com", 41)
	count("busy@example.com", 100)
	count("info@example.net", 900)

	f.admin().get("/").has(t, `id="sent"`, ">1,041<", "recipients at other servers")
	b := f.browser().login(ownerEmail, ownerPassword)
	b.get("/").has(t, ">141<", "of 20,000 recipients at other servers a day", `max="20000" value="141"`)
	b.get("/mailboxes/info@example.com").has(t, "Sent elsewhere this hour", "41 of 300", "41 of 2,000", "starts anew")
	b.post("/domains/new", "domain", "second.example")
	b.get("/").has(t, "busiest domain: 141 of 20,000")
	b.post("/language", "language", "fa")
	b.get("/").has(t, "ارسال امروز", "۱۴۱ از ۲۰٬۰۰۰")

	own := f.browser().login("info@example.com", mailboxPassword)
	page := own.get("/")
	page.has(t, "41 of 300", "41 of 2,000")
	page.hasNot(t, "141") // what others of the domain send
}
