package push

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/beckon-im/beckon/invite"
)

// Templates are what pushes say, by language (en, zh-CN) and kind. {from} is the name of who invites or writes, {group}
// that of the group, {text} the beginning of the message.
type Templates map[string]map[string]Template

// Template is what one kind of push says.
type Template struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

// The kinds of templates. A group's fall back to those without.
const (
	wordInvitation      = "invitation"
	wordGroupInvitation = "groupInvitation"
	wordMissed          = "missed"
	wordElsewhere       = "elsewhere"
	wordMessage         = "message"
	wordGroupMessage    = "groupMessage"
	wordMention         = "mention"
)

// fallback is the language of whoever speaks none that there is.
const fallback = "en"

// builtIn are what pushes say by themselves.
func builtIn() Templates {
	return Templates{
		"en": {
			wordInvitation: {"{from}", "is calling you"}, wordGroupInvitation: {"{group}", "{from} is calling"},
			wordMissed:    {"{from}", "You missed a call"},
			wordElsewhere: {"{from}", "Answered on another device"}, wordMessage: {"{from}", "{text}"},
			wordGroupMessage: {"{group}", "{from}: {text}"},
			wordMention:      {"{group}", "{from} mentioned you: {text}"},
			"image":          {Body: "a picture"}, "sound": {Body: "a voice message"}, "video": {Body: "a video"},
			"file": {Body: "a file"}, "location": {Body: "a place"},
			"face": {Body: "a sticker"}, "merged": {Body: "messages"}, "custom": {Body: "a message"},
		},
		"zh": {
			wordInvitation: {"{from}", "邀请你通话"}, wordGroupInvitation: {"{group}", "{from} 邀请你通话"},
			wordMissed:    {"{from}", "未接来电"},
			wordElsewhere: {"{from}", "已在其他设备接听"}, wordMessage: {"{from}", "{text}"},
			wordGroupMessage: {"{group}", "{from}:{text}"},
			wordMention:      {"{group}", "{from} 提到了你:{text}"},
			"image":          {Body: "[图片]"}, "sound": {Body: "[语音]"}, "video": {Body: "[视频]"}, "file": {Body: "[文件]"},
			"location": {Body: "[位置]"},
			"face":     {Body: "[表情]"}, "merged": {Body: "[聊天记录]"}, "custom": {Body: "[消息]"},
		},
	}
}

// merge puts an operator's templates over the built-in ones.
func merge(own Templates) (Templates, error) {
	all := builtIn()
	for language, kinds := range own {
		language = strings.ToLower(language)
		if all[language] == nil {
			all[language] = map[string]Template{}
		}
		for kind, t := range kinds {
			if _, ok := all[fallback][kind]; !ok {
				return nil, fmt.Errorf("the push templates of %s have %q, which is no kind of push", language, kind)
			}
			all[language][kind] = t
		}
	}
	return all, nil
}

// words are what a push says in any language.
type words struct {
	kind     string
	values   map[string]string
	plain    string // the kind of a message without text
	language string // of the person
	own      *invite.Push
}

// dress puts words on a push, in the language of a device.
func (ts Templates) dress(n *notice, language string) {
	w := &n.words
	language = cmp.Or(language, w.language)
	if w.plain != "" {
		_, text := ts.render(language, w.plain, nil)
		w.values = maps.Clone(w.values)
		w.values["text"] = cmp.Or(text, w.plain)
	}
	n.title, n.body = ts.render(language, w.kind, w.values)
	if w.own != nil {
		n.title, n.body = cmp.Or(w.own.Title, n.title), cmp.Or(w.own.Body, n.body)
	}
	n.push.Title, n.push.Body = n.title, n.body
}

// render makes the words of a kind in a language: of the language itself, of the language without its country, or of
// the fallback.
func (ts Templates) render(language, kind string, values map[string]string) (title, body string) {
	language = strings.ToLower(language)
	base, _, _ := strings.Cut(language, "-")
	for _, l := range []string{language, base, fallback} {
		if t, ok := ts[l][kind]; ok {
			return fill(t.Title, values), fill(t.Body, values)
		}
	}
	return "", ""
}

func fill(text string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for k, v := range values {
		pairs = append(pairs, "{"+k+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// short cuts a text to limit bytes, between characters.
func short(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:max(0, limit-3)]
	for s != "" && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
