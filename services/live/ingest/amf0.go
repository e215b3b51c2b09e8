package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// AMF0 markers (Adobe, "Action Message Format -- AMF 0", section 2).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
)

// Bounds on one AMF0 message. Encoders nest two levels and send a few dozen values.
const (
	maxAMFDepth  = 8
	maxAMFValues = 1024
)

var errAMFShort = errors.New("AMF0 value is cut short")

// amfReader walks AMF0 values without building them. Its recursion is bounded, so that lal, whose own reader has no
// bound, only ever sees what this one accepted.
type amfReader struct {
	b      []byte
	values int
}

// command is what the guard needs of an AMF0 command message.
type command struct {
	name string
	// args holds the top-level strings after the transaction number; other values are "".
	args []string
	// object holds the string members of the first top-level object.
	object map[string]string
}

// parseCommand checks a whole command message: name, transaction number, then any values.
func parseCommand(b []byte) (command, error) {
	r := amfReader{b: b}
	var c command
	name, err := r.expectString()
	if err != nil {
		return c, fmt.Errorf("read command name: %w", err)
	}
	c.name = name
	if marker, err := r.peek(); err != nil || marker != amfNumber {
		return c, fmt.Errorf("command %q has no transaction number", name)
	}
	if _, err := r.value(0, nil); err != nil {
		return c, err
	}
	for len(r.b) > 0 {
		var members map[string]string
		if c.object == nil {
			members = make(map[string]string)
		}
		s, err := r.value(0, members)
		if err != nil {
			return c, fmt.Errorf("read argument of %q: %w", name, err)
		}
		if len(members) > 0 {
			c.object = members
		}
		c.args = append(c.args, s)
	}
	return c, nil
}

// checkData checks a whole data message, which starts with a string.
func checkData(b []byte) error {
	r := amfReader{b: b}
	if _, err := r.expectString(); err != nil {
		return fmt.Errorf("read data name: %w", err)
	}
	for len(r.b) > 0 {
		if _, err := r.value(0, nil); err != nil {
			return fmt.Errorf("read data value: %w", err)
		}
	}
	return nil
}

func (r *amfReader) peek() (byte, error) {
	if len(r.b) == 0 {
		return 0, errAMFShort
	}
	return r.b[0], nil
}

func (r *amfReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.b) {
		return nil, errAMFShort
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out, nil
}

func (r *amfReader) expectString() (string, error) {
	marker, err := r.peek()
	if err != nil {
		return "", err
	}
	if marker != amfString {
		return "", fmt.Errorf("marker 0x%02x where a string belongs", marker)
	}
	return r.value(0, nil)
}

func (r *amfReader) shortString() (string, error) {
	n, err := r.take(2)
	if err != nil {
		return "", err
	}
	s, err := r.take(int(binary.BigEndian.Uint16(n)))
	return string(s), err
}

// value reads one value and returns it if it is a string. Where members is not nil and the value is an object, its
// string members are put into members.
func (r *amfReader) value(depth int, members map[string]string) (string, error) {
	if depth > maxAMFDepth {
		return "", fmt.Errorf("AMF0 values are nested deeper than %d", maxAMFDepth)
	}
	if r.values++; r.values > maxAMFValues {
		return "", fmt.Errorf("AMF0 message has more than %d values", maxAMFValues)
	}
	marker, err := r.take(1)
	if err != nil {
		return "", err
	}
	switch marker[0] {
	case amfNumber:
		_, err = r.take(8)
		return "", err
	case amfBoolean:
		_, err = r.take(1)
		return "", err
	case amfString:
		return r.shortString()
	case amfLongString:
		n, err := r.take(4)
		if err != nil {
			return "", err
		}
		size := binary.BigEndian.Uint32(n)
		if size > math.MaxInt32 {
			return "", errAMFShort
		}
		s, err := r.take(int(size))
		return string(s), err
	case amfNull, amfUndefined:
		return "", nil
	case amfDate:
		_, err = r.take(10)
		return "", err
	case amfECMAArray:
		if _, err := r.take(4); err != nil {
			return "", err
		}
		return "", r.members(depth, members)
	case amfObject:
		return "", r.members(depth, members)
	case amfStrictArray:
		n, err := r.take(4)
		if err != nil {
			return "", err
		}
		for range binary.BigEndian.Uint32(n) {
			if _, err := r.value(depth+1, nil); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	return "", fmt.Errorf("AMF0 marker 0x%02x is not supported", marker[0])
}

// members reads key-value pairs up to the object end marker.
func (r *amfReader) members(depth int, into map[string]string) error {
	for {
		key, err := r.shortString()
		if err != nil {
			return err
		}
		if key == "" {
			end, err := r.take(1)
			if err != nil {
				return err
			}
			if end[0] != amfObjectEnd {
				return errors.New("AMF0 object has an empty key")
			}
			return nil
		}
		s, err := r.value(depth+1, nil)
		if err != nil {
			return err
		}
		if into != nil {
			into[key] = s
		}
	}
}
