package journal

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// The kinds of value.
const (
	kindNil = iota
	kindInt
	kindText
	kindBytes
	kindReal
)

func (j *Journal) encode(b []byte, op *Operation) ([]byte, error) {
	n, known := j.texts[op.Text]
	if !known {
		n = uint64(len(j.texts))
		j.texts[op.Text] = n
	}
	b = binary.AppendUvarint(b, n)
	if !known {
		b = binary.AppendUvarint(b, uint64(len(op.Text)))
		b = append(b, op.Text...)
	}
	b = binary.AppendUvarint(b, uint64(op.Width))
	b = binary.AppendUvarint(b, uint64(len(op.Values)))
	for _, v := range op.Values {
		switch v := v.(type) {
		case string:
			b = binary.AppendUvarint(append(b, kindText), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.AppendVarint(append(b, kindInt), v)
		case int:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case uint64:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case []byte:
			b = binary.AppendUvarint(append(b, kindBytes), uint64(len(v)))
			b = append(b, v...)
		default:
			var err error
			if b, err = encodeOther(b, v); err != nil {
				return nil, fmt.Errorf("%w, in %.80s", err, op.Text)
			}
		}
	}
	return b, nil
}

// encodeOther encodes named types, as database/sql does.
func encodeOther(b []byte, v any) ([]byte, error) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return append(b, kindNil), nil
	case r.CanInt():
		return binary.AppendVarint(append(b, kindInt), r.Int()), nil
	case r.CanUint():
		return binary.AppendVarint(append(b, kindInt), int64(r.Uint())), nil
	case r.CanFloat():
		return binary.LittleEndian.AppendUint64(append(b, kindReal), math.Float64bits(r.Float())), nil
	case r.Kind() == reflect.String:
		b = binary.AppendUvarint(append(b, kindText), uint64(r.Len()))
		return append(b, r.String()...), nil
	}
	return nil, fmt.Errorf("journal: a %T has no place", v)
}

// decoder reads an entry.
type decoder struct {
	b     []byte
	texts []string
	bad   bool
}

func (d *decoder) operations() []Operation {
	n := d.uvarint()
	ops := make([]Operation, 0, min(n, 1024))
	for ; n > 0 && !d.bad; n-- {
		var op Operation
		id := d.uvarint()
		switch {
		case id < uint64(len(d.texts)):
			op.Text = d.texts[id]
		case id == uint64(len(d.texts)):
			op.Text = string(d.bytes())
			d.texts = append(d.texts, op.Text)
		default:
			d.bad = true
		}
		op.Width = int(d.uvarint())
		for range d.uvarint() {
			if op.Values = append(op.Values, d.value()); d.bad {
				break
			}
		}
		ops = append(ops, op)
	}
	return ops
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) value() any {
	if len(d.b) == 0 {
		d.bad = true
		return nil
	}
	kind := d.b[0]
	d.b = d.b[1:]
	switch kind {
	case kindNil:
		return nil
	case kindInt:
		v, n := binary.Varint(d.b)
		if n <= 0 {
			d.bad = true
			return nil
		}
		d.b = d.b[n:]
		return v
	case kindText:
		return string(d.bytes())
	case kindBytes:
		return slices.Clone(d.bytes())
	case kindReal:
		if len(d.b) < 8 {
			d.bad = true
			return nil
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
		d.b = d.b[8:]
		return v
	}
	d.bad = true
	return nil
}
