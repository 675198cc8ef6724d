package panel

import (
	"net/url"
	"strconv"

	"github.com/postchi/postchi/models"
)

// search is the form above a list.
type search struct {
	Action, Label, Text string
	Choices             []choice
	Hidden              []option // kept while searching: the order
}

// choice is a filter with a fixed set of values.
type choice struct {
	Name, Label, Value string
	Options            []option
}

// option is one value; it shows the words of Key, or Text where that is "".
type option struct{ Name, Value, Key, Text string }

// pager leads to the pages beside this one; an empty link is no page.
type pager struct {
	Page, Pages int
	Prev, Next  string
}

func newPager(u *url.URL, page, pages int) pager {
	p := pager{Page: page, Pages: pages}
	if page > 1 {
		p.Prev = withQuery(u, "page", strconv.Itoa(min(page-1, max(pages, 1))))
	}
	if page < pages {
		p.Next = withQuery(u, "page", strconv.Itoa(page+1))
	}
	return p
}

// withQuery returns the address of u's page with some parameters changed; "" removes one.
func withQuery(u *url.URL, pairs ...string) string {
	q := u.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + q.Encode()
}

// column is the head of a column that the list may be sorted by.
type column struct {
	Label, Link, Aria string // key; address that sorts by it; "ascending", "descending" or ""
}

// newColumn returns the head of a column: the first click sorts by it, the next turns the
// order around. name "" makes it a plain head; usual says that the list is sorted by it when
// nothing is asked for.
func newColumn(u *url.URL, q models.Query, label, name string, usual bool) column {
	c := column{Label: label}
	if name == "" {
		return c
	}
	desc := ""
	if q.Sort == name || q.Sort == "" && usual {
		c.Aria = "ascending"
		if q.Desc {
			c.Aria = "descending"
		} else {
			desc = "1"
		}
	}
	c.Link = withQuery(u, "sort", name, "desc", desc, "page", "")
	return c
}

// query reads what a list is asked for from the address.
func (r *request) query() models.Query {
	return models.Query{Search: r.QueryParam("q"), Sort: r.QueryParam("sort"), Desc: r.QueryParam("desc") != "", Page: r.page()}
}

// keepOrder are the hidden fields that keep a list's order while it is searched.
func keepOrder(q models.Query) []option {
	var all []option
	if q.Sort != "" {
		all = append(all, option{Name: "sort", Value: q.Sort})
	}
	if q.Desc {
		all = append(all, option{Name: "desc", Value: "1"})
	}
	return all
}
