package auth

import "container/list"

// lru is a map that forgets what was not used for longest once it holds max entries. It is
// not safe for concurrent use.
type lru[K comparable, V any] struct {
	max   int
	items map[K]*list.Element
	order *list.List // of *item, the latest first
}

type item[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{max: most, items: map[K]*list.Element{}, order: list.New()}
}

// get returns the value of key and marks it as used.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	e := l.items[key]
	if e == nil {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*item[K, V]).value, true
}

// put sets the value of key and marks it as used.
func (l *lru[K, V]) put(key K, value V) {
	if e := l.items[key]; e != nil {
		e.Value.(*item[K, V]).value = value
		l.order.MoveToFront(e)
		return
	}
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		delete(l.items, oldest.Value.(*item[K, V]).key)
		l.order.Remove(oldest)
	}
	l.items[key] = l.order.PushFront(&item[K, V]{key, value})
}

func (l *lru[K, V]) remove(key K) {
	if e := l.items[key]; e != nil {
		l.order.Remove(e)
		delete(l.items, key)
	}
}
