package sqlite

// heap keeps entries so that the first one by before is on top. An entry knows
// its place, so it can leave from anywhere. The zero place means: not in it.
type heap struct {
	slot   int // of entry.place
	before func(a, b *entry) bool
	items  []*entry
}

// Slots of entry.place: an entry is in one heap of each at the most.
const (
	slotPhase    = iota // of its phase
	slotDeadline        // queue.deadlines
	slotStart           // group.starts
	slots
)

func (h *heap) len() int { return len(h.items) }

// top returns the first entry, nil when there is none.
func (h *heap) top() *entry {
	if len(h.items) == 0 {
		return nil
	}
	return h.items[0]
}

func (h *heap) push(e *entry) {
	h.items = append(h.items, e)
	e.place[h.slot] = int32(len(h.items))
	h.up(len(h.items) - 1)
}

func (h *heap) remove(e *entry) {
	i, last := int(e.place[h.slot])-1, len(h.items)-1
	moved := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	e.place[h.slot] = 0
	if i == last {
		return
	}
	h.items[i] = moved
	moved.place[h.slot] = int32(i + 1)
	if !h.up(i) {
		h.down(i)
	}
}

func (h *heap) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].place[h.slot] = int32(i + 1)
	h.items[j].place[h.slot] = int32(j + 1)
}

func (h *heap) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(h.items[i], h.items[parent]) {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h *heap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if next := child + 1; next < len(h.items) && h.before(h.items[next], h.items[child]) {
			child = next
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}
