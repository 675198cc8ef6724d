package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
)

func (p *Panel) binRoutes() []route {
	return []route{
		{http.MethodGet, "/bin", users, p.bin, 0},
		{http.MethodPost, "/mailboxes/:address/restore", users, p.restoreMailbox, 0},
		{http.MethodGet, "/mailboxes/:address/purge", users, p.askPurge, 0},
		{http.MethodPost, "/mailboxes/:address/purge", users, p.purgeMailbox, 0},
	}
}

type binPage struct {
	common
	Search  search
	List    models.Page[binRow]
	Pager   pager
	BinDays int
}

// binRow is a deleted mailbox with the day on which it is gone.
type binRow struct {
	models.MailboxRow
	Gone models.Micros
}

func (p *Panel) bin(r *request) error {
	q := r.query()
	q.Bin = true
	if q.Sort == "" {
		q.Sort, q.Desc = "deleted", true
	}
	list, err := p.Service.Mailboxes(r.ctx(), r.viewer, q)
	if err != nil {
		return err
	}
	page := &binPage{BinDays: p.BinDays, Pager: newPager(r.Request().URL, list.Page, list.Pages)}
	page.Nav = "bin"
	page.Search = search{Action: "/bin", Label: "mailboxes.search", Text: q.Search}
	for _, m := range list.Items {
		gone := m.DeletedAt.Time().AddDate(0, 0, p.BinDays)
		page.List.Items = append(page.List.Items, binRow{m, models.At(gone)})
	}
	page.List.Total = list.Total
	return r.render(http.StatusOK, "bin", page)
}

func (p *Panel) restoreMailbox(r *request) error {
	address := r.param("address")
	if err := p.Service.RestoreMailbox(r.ctx(), r.viewer, address); err != nil {
		return err
	}
	r.notify("mailbox.restored", "address", unicodeAddress(address))
	return r.redirect(mailboxPath(address))
}

func (p *Panel) askPurge(r *request) error { return p.purgePage(r, newForm(nil)) }

// purgePage asks for the address. Only what lies in the bin is deleted for good here.
func (p *Panel) purgePage(r *request, f *form) error {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.param("address"))
	if err != nil {
		return err
	}
	if !row.InBin() {
		return r.redirect(mailboxPath(row.Address))
	}
	return p.deletePage(r, &deletePage{Form: f, Heading: "mailbox.purge", Text: "mailbox.purge.confirm", Name: unicodeAddress(row.Address),
		Technical: true, Count: row.Usage.Messages, Back: "/bin", Action: mailboxPath(row.Address) + "/purge", common: common{Nav: "bin"}})
}

func (p *Panel) purgeMailbox(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.param("address"))
	if err != nil {
		return err
	}
	if !row.InBin() || !f.typed(row.Address, unicodeAddress(row.Address)) {
		return p.purgePage(r, f)
	}
	if err := p.Service.PurgeMailbox(r.ctx(), r.viewer, row.Address); err != nil {
		return err
	}
	r.notify("mailbox.purged", "address", unicodeAddress(row.Address))
	return r.redirect("/bin")
}
