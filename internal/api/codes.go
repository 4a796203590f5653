package api

import (
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/contract"
	"github.com/beckon-im/beckon/internal/hook"
)

// codesByField are the error codes of every method whose request has a field.
var codesByField = map[string][]int{
	"inviteID":       {im.CodeOver, im.CodeNotYours},
	"groupID":        {im.CodeGroupParameter, im.CodeGroupDenied, im.CodeNoGroup, im.CodeBadGroupID},
	"groupIDList":    {im.CodeBadGroupID},
	"conversationID": {im.CodeGroupDenied, im.CodeNoGroup, im.CodeBadGroupID},
	"messageID":      {im.CodeNoMessage},
	"messageIDList":  {im.CodeNoMessage},
	"fileID":         {im.CodeNoFile},
	"callID":         {im.CodeNotFound},
	"testID":         {im.CodeNotFound},
	"deviceID":       {im.CodeNotFound},
}

// codesOfMethod are the other error codes of methods.
var codesOfMethod = map[string][]int{
	"invite":                 {im.CodeExists, im.CodeRoomTaken, im.CodeBlocked},
	"inviteInGroup":          {im.CodeExists, im.CodeRoomTaken, im.CodeMuted},
	"addInvitees":            {im.CodeExists, im.CodeGroupDenied, im.CodeMuted, im.CodeBlocked},
	"modifyInvitation":       {im.CodeGroupDenied, im.CodeMuted},
	"sendMessage":            {im.CodeMuted, im.CodeBlocked, im.CodeExists, im.CodeNoFile},
	"modifyMessage":          {im.CodeMuted, im.CodeBlocked, im.CodeModified, im.CodeNoFile},
	"revokeMessage":          {im.CodeRevokeLate},
	"addMessageReaction":     {im.CodeMuted, im.CodeBlocked, im.CodeTooMany},
	"removeMessageReaction":  {im.CodeMuted, im.CodeBlocked},
	"sendTyping":             {im.CodeMuted, im.CodeBlocked},
	"createGroup":            {im.CodeGroupIDTaken, im.CodeTooMany, im.CodeGroupFull},
	"importGroups":           {im.CodeGroupParameter, im.CodeBadGroupID, im.CodeGroupFull, im.CodeTooMany},
	"joinGroup":              {im.CodeAlreadyMember, im.CodeGroupFull, im.CodeTooMany},
	"quitGroup":              {im.CodeOwnerMayNot},
	"inviteUserToGroup":      {im.CodeGroupFull, im.CodeTooMany},
	"acceptGroupApplication": {im.CodeGroupFull, im.CodeNotFound},
	"refuseGroupApplication": {im.CodeNotFound},
	"deleteMessages":         {im.CodeNotFound},
	"cancel":                 {im.CodeNotFound},
	"traceInvitation":        {im.CodeNotFound},
	"kickGroupMember":        {im.CodeTooMany},
	"initGroupAttributes":    {im.CodeTooMany, im.CodeConflict},
	"setGroupAttributes":     {im.CodeTooMany, im.CodeConflict},
	"deleteGroupAttributes":  {im.CodeConflict},
	"setGroupCounters":       {im.CodeTooMany},
	"increaseGroupCounter":   {im.CodeTooMany},
	"decreaseGroupCounter":   {im.CodeTooMany},
	"addToBlackList":         {im.CodeTooMany},
	"setSelfInfo":            {im.CodeTooMany},
	"importUsers":            {im.CodeTooMany},
	"setGroupMemberRole":     {im.CodeTooMany},
	"subscribeUserStatus":    {im.CodeTooMany},
	"enterRoom":              {im.CodeTooMany},
}

// codesOf returns the error codes of a method, besides those of every method.
func codesOf(v *row) []int {
	codes := slices.Clone(codesOfMethod[v.name])
	for field, more := range codesByField {
		if _, ok := v.shape.fields[field]; ok {
			codes = append(codes, more...)
		}
	}
	if v.tag == tagRooms {
		codes = append(codes, im.CodeNoMedia, im.CodeNotAdmitted, im.CodeGroupDenied, im.CodeNoGroup)
	}
	return codes
}

// declares reports whether the OpenAPI document has an error code of a method.
func (v *row) declares(code int) bool {
	return slices.Contains(v.codes, code) || slices.Contains(contract.Common, code) ||
		hook.MinCode <= code && code <= hook.MaxCode
}
