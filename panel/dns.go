package panel

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

func (p *Panel) dnsRoutes() []route {
	return []route{
		{http.MethodGet, "/domains/:domain/dns", users, p.showDNS, 0},
		{http.MethodPost, "/domains/:domain/dns", users, p.checkDNS, 0},
		{http.MethodGet, "/domains/:domain/dns.json", users, p.dnsJSON, 0},
		{http.MethodGet, "/domains/:domain/dns.zone", users, p.dnsZone, 0},
		{http.MethodGet, "/domains/:domain/dns.csv", users, p.dnsCSV, 0},
		{http.MethodPost, "/domains/:domain/dns/row", users, p.checkDNSRow, 0},
		{http.MethodPost, "/domains/:domain/keys", users, p.rotateKeys, 0},
		{http.MethodPost, "/domains/:domain/dmarc", users, p.setDMARC, 0},
	}
}

type dnsPage struct {
	common
	Domain  *models.DomainRow
	Report  *models.DNSReport
	Proof   bool // the domain waits for proof
	Held    bool // it is proven, but somebody else's
	Groups  []dnsGroup
	Checked time.Time
}

// dnsGroup is the rows for one aim; those that can wait are folded.
type dnsGroup struct {
	Key    string
	Rows   []dnsRow
	Folded []dnsRow
}

// dnsRow is a record with its verdict in words.
type dnsRow struct {
	models.DNSResult
	ID    string
	Again again
	Split string // the text in pieces, in quotes; "" if it is short
	Notes []template.HTML
	Wait  string // of pending: how long at most
}

// again is the button by which one row is looked at once more.
type again struct{ CSRF, Action string }

// Good reports whether nothing is left to do for the row.
func (r *dnsRow) Good() bool { return r.Verdict == models.DNSOK || r.Verdict == models.DNSNotNeeded }

// rowID is the element of a report's row.
func rowID(i int) string { return fmt.Sprint("r", i) }

func (p *Panel) showDNS(r *request) error {
	row, err := p.Service.Domain(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	report, err := p.Service.DNS(r.ctx(), r.viewer, row.Name)
	if err != nil {
		return err
	}
	page := &dnsPage{Domain: row, Report: report, Checked: report.CheckedAt.Time(), Groups: r.dnsGroups(report)}
	page.Proof, page.Held = row.State == models.DomainPending, row.State == models.DomainPending && row.ProvenAt != 0
	page.Nav = "domains"
	return r.render(http.StatusOK, "domain_dns", page)
}

// dnsGroups puts the rows of a report into groups, in their order.
func (r *request) dnsGroups(report *models.DNSReport) []dnsGroup {
	var groups []dnsGroup
	button := again{r.forms.Token(r.Response(), r.secure), dnsPath(report.Domain) + "/row"}
	for i := range report.Results {
		row := r.dnsRow(i, &report.Results[i])
		row.Again = button
		if len(groups) == 0 || groups[len(groups)-1].Key != row.Group {
			groups = append(groups, dnsGroup{Key: row.Group})
		}
		g := &groups[len(groups)-1]
		if row.Optional || row.Operator {
			g.Folded = append(g.Folded, row)
		} else {
			g.Rows = append(g.Rows, row)
		}
	}
	return groups
}

func (r *request) dnsRow(i int, result *models.DNSResult) dnsRow {
	row := dnsRow{DNSResult: *result, ID: rowID(i)}
	if len(row.Strings) > 1 {
		row.Split = `"` + strings.Join(row.Strings, `" "`) + `"`
	}
	args := map[string]any{}
	for name, value := range result.Args {
		args[name] = i18n.LTR(value)
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			args[name] = r.lang.Date(at.In(r.p.Zone))
		} else if n, err := strconv.ParseInt(value, 10, 64); err == nil && name == "n" {
			args[name] = n
		}
	}
	for _, key := range result.Notes {
		row.Notes = append(row.Notes, r.lang.HTMLMap("dns.note."+key, args))
	}
	if result.Purpose == "dkim_retiring" && args["until"] != nil {
		row.Notes = append(row.Notes, r.lang.HTMLMap("dns.note.dkim_until", args))
	}
	if result.TTL > 0 {
		row.Wait = r.lang.Text("dns.wait", "n", (result.TTL+59)/60)
	}
	return row
}

func dnsPath(name string) string { return "/domains/" + url.PathEscape(name) + "/dns" }

func (p *Panel) checkDNS(r *request) error {
	report, err := p.Service.CheckDNS(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	tell := r.warn
	if report.Health == models.DNSHealthOK {
		tell = r.notify
	}
	tell("dns.checked." + string(report.Health))
	return r.redirect(dnsPath(report.Domain))
}

// checkDNSRow looks at one record and leads back to its row.
func (p *Panel) checkDNSRow(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	kind, name := f.text("type"), f.text("name")
	row, err := p.Service.CheckDNSRow(r.ctx(), r.viewer, r.param("domain"), kind, name)
	if err != nil {
		return err
	}
	report, err := p.Service.DNS(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	at := ""
	for i := range report.Results {
		if got := &report.Results[i]; got.Type == kind && got.FullName == name {
			at = "#" + rowID(i) + "-title"
		}
	}
	tell := r.warn
	if row.Verdict == models.DNSOK || row.Verdict == models.DNSNotNeeded {
		tell = r.notify
	}
	tell("dns.row."+string(row.Verdict), "row", kind+" "+name)
	return r.redirect(dnsPath(report.Domain) + at)
}

func (p *Panel) dnsCSV(r *request) error {
	name, text, err := p.Service.DNSCSV(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	return r.download(name+"-dns.csv", "text/csv; charset=utf-8", []byte(text))
}

func (p *Panel) dnsJSON(r *request) error {
	report, err := p.Service.DNS(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return r.download(report.Domain+"-dns.json", "application/json", append(body, '\n'))
}

func (p *Panel) dnsZone(r *request) error {
	name, text, err := p.Service.DNSZone(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	return r.download(name+".zone", "text/plain; charset=utf-8", []byte(text))
}

// download sends a file that nobody keeps.
func (r *request) download(name, kind string, body []byte) error {
	h := r.Response().Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	r.Response().WriteHeader(http.StatusOK)
	_, err := r.Response().Write(body)
	return err
}

func (p *Panel) rotateKeys(r *request) error {
	name := r.param("domain")
	if err := p.Service.RotateKeys(r.ctx(), r.viewer, name); err != nil {
		return err
	}
	r.notify("dns.rotated")
	return r.redirect(dnsPath(name))
}

func (p *Panel) setDMARC(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	name := r.param("domain")
	if err := p.Service.SetDMARCObey(r.ctx(), r.viewer, name, models.DMARCObey(f.text("dmarc"))); err != nil {
		return err
	}
	r.notify("domain.dmarc.saved")
	return r.redirect("/domains/" + url.PathEscape(name))
}
