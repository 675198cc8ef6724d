package store

import (
	"strings"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
)

// terms returns a LIKE pattern, with ! as its escape, for each word of a search; at most 8.
func terms(search string) []string {
	words := strings.Fields(models.Fold(models.Clip(search, 200)))
	for i, w := range words {
		words[i] = "%" + escapeLike(w) + "%"
	}
	return words[:min(len(words), 8)]
}

// escapeLike makes a text stand for itself in a LIKE pattern with ! as its escape.
func escapeLike(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// order returns an ORDER BY from a list of allowed columns; last decides among equals, so
// that pages do not overlap.
func order(allowed map[string]string, q models.Query, last string) string {
	column, known := allowed[q.Sort]
	if !known {
		column = allowed[""]
	}
	direction := ""
	if q.Desc {
		direction = " DESC"
	}
	return column + direction + ", " + last + direction
}

// page counts what g selects and reads the page asked for.
func page[T any](g *gorm.DB, q models.Query, order string) (models.Page[T], error) {
	var total int64
	if err := g.Session(&gorm.Session{}).Count(&total).Error; err != nil {
		return models.Page[T]{}, failed("count", err)
	}
	size, offset := q.Window()
	var items []T
	err := g.Session(&gorm.Session{}).Order(order).Limit(size).Offset(offset).Find(&items).Error
	return models.NewPage(q, items, total), failed("list", err)
}
