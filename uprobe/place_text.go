package uprobe

import (
	"log/slog"
	"path"
)

// appendLine appends the line that is traced, as "main.go:12 ".
func (c *Call) appendLine(b []byte) []byte {
	file, line := c.Line()
	if file == "" {
		return b
	}
	b = append(b, path.Base(file)...)
	b = append(b, ':')
	b = appendInt(b, int64(line))
	return append(b, ' ')
}

// appendInlined appends where the call was inlined.
func (c *Call) appendInlined(b []byte) []byte {
	i, ok := c.Inlined()
	if !ok {
		return b
	}
	b = append(b, " inlined in "...)
	return append(b, i.String()...)
}

// appendPlaceJSON appends line and inlining to an object.
func (c *Call) appendPlaceJSON(b []byte) []byte {
	if file, line := c.Line(); file != "" {
		b = append(b, `,"file":`...)
		b = appendJSONString(b, file)
		b = append(b, `,"line":`...)
		b = appendInt(b, int64(line))
	}
	i, ok := c.Inlined()
	if !ok {
		return b
	}
	b = append(b, `,"inlined":{"caller":`...)
	b = appendJSONString(b, i.Caller)
	b = append(b, `,"file":`...)
	b = appendJSONString(b, i.File)
	b = append(b, `,"line":`...)
	b = appendInt(b, int64(i.Line))
	return append(b, '}')
}

// placeAttrs returns line and inlining for a log.
func (c *Call) placeAttrs() (attrs []slog.Attr) {
	if file, line := c.Line(); file != "" {
		attrs = append(attrs, slog.String("file", file), slog.Int("line", line))
	}
	if i, ok := c.Inlined(); ok {
		attrs = append(attrs, slog.Group("inlined", slog.String("caller", i.Caller), slog.String("file", i.File), slog.Int("line", i.Line)))
	}
	return attrs
}
