package panel

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// form holds what a person typed and what is wrong with it.
type form struct {
	values url.Values
	errs   []*models.Error // in the order in which they are shown
	// Prefix makes the ids of a form's fields unique where a page has several forms.
	Prefix string
	// Errors are the words of errs, made when the page is rendered.
	Errors []formError
}

// formError is one line of the summary above a form.
type formError struct {
	Field string // "" = of the form as a whole
	ID    string // of the field's element
	Words template.HTML
}

func newForm(values url.Values) *form {
	if values == nil {
		values = url.Values{}
	}
	return &form{values: values}
}

// text returns a field without spaces around it.
func (f *form) text(name string) string { return strings.TrimSpace(f.values.Get(name)) }

// raw returns a field as it was typed: a password is never altered.
func (f *form) raw(name string) string { return f.values.Get(name) }

// on reports whether a box is ticked.
func (f *form) on(name string) bool { return f.values.Get(name) != "" }

// set gives a field a value if it has none.
func (f *form) set(name, value string) {
	if !f.values.Has(name) {
		f.values.Set(name, value)
	}
}

// fail adds an error.
func (f *form) fail(err *models.Error) { f.errs = append(f.errs, err) }

// failed reports whether something is wrong.
func (f *form) failed() bool { return len(f.errs) > 0 }

// number returns a whole number that is not negative; an empty field is 0.
func (f *form) number(name string) int64 {
	s := i18n.ASCIIDigits(f.values.Get(name))
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		f.fail(models.Errorf(models.Invalid, "number.invalid", "That is not a whole number.").On(name))
		return 0
	}
	return n
}

// units of a size in the form, by the value of the select beside it.
var units = map[string]float64{"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// size returns bytes from the field name and the unit in name_unit; an empty field is 0.
func (f *form) size(name string) int64 {
	s := i18n.ASCIIDigits(f.values.Get(name))
	if s == "" {
		return 0
	}
	n, err := strconv.ParseFloat(s, 64)
	unit, ok := units[f.values.Get(name+"_unit")]
	bytes := math.Round(n * unit)
	if err != nil || !ok || !(n >= 0) || bytes > 1<<60 {
		f.fail(models.Errorf(models.Invalid, "size.invalid", "That is not a size.").On(name))
		return 0
	}
	return int64(bytes)
}

// setSize fills a size field and its unit so that size reads the same bytes again.
func (f *form) setSize(name string, bytes int64) {
	unit := "MB"
	for _, u := range []string{"GB", "TB"} {
		if step := int64(units[u]); bytes >= step && bytes%(step/4) == 0 {
			unit = u
		}
	}
	f.set(name, strconv.FormatFloat(float64(bytes)/units[unit], 'f', -1, 64))
	f.set(name+"_unit", unit)
}

// take moves the errors of a service call into the form. What no words on the form can mend
// is returned: a fault of ours, or that the thing is not there at all.
func (f *form) take(err error) error {
	all := models.Errors(err)
	if len(all) == 0 {
		return err
	}
	for _, e := range all {
		if e.Kind == models.Internal || e.Kind == models.NotFound && e.Field == "" {
			return err
		}
	}
	f.errs = append(f.errs, all...)
	return nil
}

// status is what a page answers that shows the form: 200, or what its first error means.
func (f *form) status() int {
	if !f.failed() {
		return http.StatusOK
	}
	if f.errs[0].Kind == models.Invalid {
		return http.StatusUnprocessableEntity
	}
	return statusOf(f.errs[0].Kind)
}

// badForm tells a body that is too large from one that cannot be read.
func badForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return models.Errorf(models.TooLarge, "too_large", "The form is larger than %d bytes.", large.Limit).Because(err)
	}
	return models.Errorf(models.Invalid, "bad_request", "The request cannot be read.").Because(err)
}

// input is one field of a form as the partial of that name shows it.
type input struct {
	Form                           *form
	Name, ID, Label, Hint          string
	Type, Value, Autocomplete      string
	Inputmode, Password, Class     string
	Placeholder, List, Names, Unit string
	Required, Autofocus, NoLabel   bool
	Errors                         []template.HTML
}

// newInput makes a field from pairs of option and value; the zero value of each is left out.
func newInput(f *form, name string, pairs ...string) (*input, error) {
	in := &input{Form: f, Name: name, ID: f.Prefix + name, Value: f.values.Get(name), Type: "text", Unit: f.values.Get(name + "_unit")}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("field %s: an option without value", name)
	}
	for i := 0; i < len(pairs); i += 2 {
		v := pairs[i+1]
		switch pairs[i] {
		case "label":
			in.Label = v
		case "hint":
			in.Hint = v
		case "type":
			in.Type = v
		case "autocomplete":
			in.Autocomplete = v
		case "inputmode":
			in.Inputmode = v
		case "password": // "show" or "generate"
			in.Password = v
		case "class":
			in.Class = v
		case "placeholder":
			in.Placeholder = v
		case "list":
			in.List = v
		case "names":
			in.Names = v
		case "required":
			in.Required = v == "yes"
		case "autofocus":
			in.Autofocus = v == "yes" && !f.failed()
		default:
			return nil, fmt.Errorf("field %s: unknown option %s", name, pairs[i])
		}
	}
	for _, e := range f.Errors {
		if e.Field == name {
			in.Errors = append(in.Errors, e.Words)
		}
	}
	// A password that was refused while hidden is typed again.
	if in.Type == "password" {
		in.Value = ""
	}
	return in, nil
}

// DescribedBy lists the ids of the field's hint and error.
func (in *input) DescribedBy() string {
	var ids []string
	if in.Hint != "" {
		ids = append(ids, in.ID+"-hint")
	}
	if len(in.Errors) > 0 {
		ids = append(ids, in.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// On reports whether a box is ticked, for templates.
func (f *form) On(name string) bool { return f.on(name) }

// rename moves errors to the fields as this form calls them.
func (f *form) rename(names map[string]string) {
	for i, e := range f.errs {
		if to, ok := names[e.Field]; ok {
			f.errs[i] = e.On(to)
		}
	}
}
