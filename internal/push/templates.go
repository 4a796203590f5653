package push

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/beckon-im/beckon/invite"
)

// Templates are the texts of pushes, by language (en, zh-CN) and kind. Placeholders: {from} is the name of the inviter
// or sender, {group} the name of the group, {text} the beginning of the message.
type Templates map[string]map[string]Template

// Template is the text of one kind of push.
type Template struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

// Kinds of templates.
const (
	textInvitation      = "invitation"
	textGroupInvitation = "groupInvitation"
	textMissed          = "missed"
	textElsewhere       = "elsewhere"
	textMessage         = "message"
	textGroupMessage    = "groupMessage"
	textMention         = "mention"
	textTest            = "test"
)

// fallback is the language used if no other matches.
const fallback = "en"

// builtIn returns the built-in templates.
func builtIn() Templates {
	return Templates{
		"en": {
			textInvitation: {"{from}", "is calling you"}, textGroupInvitation: {"{group}", "{from} is calling"},
			textMissed:    {"{from}", "You missed a call"},
			textElsewhere: {"{from}", "Answered on another device"}, textMessage: {"{from}", "{text}"},
			textGroupMessage: {"{group}", "{from}: {text}"},
			textMention:      {"{group}", "{from} mentioned you: {text}"},
			textTest:         {"Test notification", "Calls and messages reach this device"},
			"image":          {Body: "a picture"}, "sound": {Body: "a voice message"}, "video": {Body: "a video"},
			"file": {Body: "a file"}, "location": {Body: "a place"},
			"face": {Body: "a sticker"}, "merged": {Body: "messages"}, "custom": {Body: "a message"},
		},
		"zh": {
			textInvitation: {"{from}", "邀请你通话"}, textGroupInvitation: {"{group}", "{from} 邀请你通话"},
			textMissed:    {"{from}", "未接来电"},
			textElsewhere: {"{from}", "已在其他设备接听"}, textMessage: {"{from}", "{text}"},
			textGroupMessage: {"{group}", "{from}:{text}"},
			textMention:      {"{group}", "{from} 提到了你:{text}"},
			textTest:         {"测试通知", "此设备可以收到来电和消息"},
			"image":          {Body: "[图片]"}, "sound": {Body: "[语音]"}, "video": {Body: "[视频]"}, "file": {Body: "[文件]"},
			"location": {Body: "[位置]"},
			"face":     {Body: "[表情]"}, "merged": {Body: "[聊天记录]"}, "custom": {Body: "[消息]"},
		},
	}
}

// merge adds an operator's templates to the built-in ones.
func merge(own Templates) (Templates, error) {
	all := builtIn()
	for language, kinds := range own {
		language = strings.ToLower(language)
		if all[language] == nil {
			all[language] = map[string]Template{}
		}
		for kind, t := range kinds {
			if _, ok := all[fallback][kind]; !ok {
				return nil, fmt.Errorf("the push templates for %s have an unknown kind %q", language, kind)
			}
			all[language][kind] = t
		}
	}
	return all, nil
}

// content is the text of a push in any language.
type content struct {
	kind     string
	values   map[string]string
	plain    string // kind of a message without text
	language string // language of the user
	own      *invite.Push
}

// localize sets the texts of a notice in the language of a device.
func (ts Templates) localize(n *notice, language string) {
	c := &n.content
	language = cmp.Or(language, c.language)
	if c.plain != "" {
		_, text := ts.render(language, c.plain, nil)
		c.values = maps.Clone(c.values)
		c.values["text"] = cmp.Or(text, c.plain)
	}
	n.title, n.body = ts.render(language, c.kind, c.values)
	if c.own != nil {
		n.title, n.body = cmp.Or(c.own.Title, n.title), cmp.Or(c.own.Body, n.body)
	}
	n.push.Title, n.push.Body = n.title, n.body
}

// render returns the texts of a kind in a language, in the language without its region, or in the fallback language.
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

// short truncates a text to limit bytes, between characters.
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
