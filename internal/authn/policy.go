package authn

import (
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
)

// Table returns the authorization table of the house: what every RPC of every service asks of its caller. What depends
// on the thing that is asked for, such as being the owner of a room, is the service's own rule.
func Table() Policy {
	return Policy{
		authv1connect.AuthServiceRegisterDeviceProcedure:   Public,
		authv1connect.AuthServiceSignUpProcedure:           Public,
		authv1connect.AuthServiceSignInProcedure:           Public,
		authv1connect.AuthServiceSignInAsGuestProcedure:    Public,
		authv1connect.AuthServiceSignInAsOperatorProcedure: Public,
		authv1connect.AuthServiceGetSetupProcedure:         Public,
		authv1connect.AuthServiceCreateFirstAdminProcedure: Public,
		authv1connect.AuthServiceRefreshTokenProcedure:     Public,
		authv1connect.AuthServiceSignOutProcedure:          Guest,
		authv1connect.AuthServiceGetMeProcedure:            Guest,
		authv1connect.AuthServiceUpdateProfileProcedure:    User,
		authv1connect.AuthServiceUploadAvatarProcedure:     User,
		authv1connect.AuthServiceDeleteAvatarProcedure:     User,
		authv1connect.AuthServiceChangePasswordProcedure:   User,
		authv1connect.AuthServiceListDevicesProcedure:      Guest,
		authv1connect.AuthServiceRevokeDeviceProcedure:     Guest,

		authv1connect.DirectoryServiceBatchGetUsersProcedure:   Service,
		authv1connect.DirectoryServiceListUsersProcedure:       Service,
		authv1connect.DirectoryServiceGetAccountProcedure:      Service,
		authv1connect.DirectoryServiceListSessionsProcedure:    Service,
		authv1connect.DirectoryServiceRevokeSessionProcedure:   Service,
		authv1connect.DirectoryServiceBanUserProcedure:         Service,
		authv1connect.DirectoryServiceUnbanUserProcedure:       Service,
		authv1connect.DirectoryServiceSetRoleProcedure:         Service,
		authv1connect.DirectoryServiceListRevocationsProcedure: Service,

		livev1connect.LiveServiceListCategoriesProcedure:     Public,
		livev1connect.LiveServiceListRoomsProcedure:          Public,
		livev1connect.LiveServiceGetRoomProcedure:            Guest,
		livev1connect.LiveServiceListBroadcastsProcedure:     Guest,
		livev1connect.LiveServiceCreateRoomProcedure:         User,
		livev1connect.LiveServiceUpdateRoomProcedure:         User,
		livev1connect.LiveServiceSetCoverProcedure:           User,
		livev1connect.LiveServiceAcknowledgeWarningProcedure: User,
		livev1connect.LiveServiceGetStreamKeyProcedure:       User,
		livev1connect.LiveServiceIssueStreamKeyProcedure:     User,
		livev1connect.LiveServiceRevokeStreamKeyProcedure:    User,
		livev1connect.LiveServiceEndBroadcastProcedure:       User,
		livev1connect.LiveServiceGetStreamStatsProcedure:     User,

		livev1connect.ControlServiceStopBroadcastProcedure: Service,
		livev1connect.ControlServiceWarnOwnerProcedure:     Service,
		livev1connect.ControlServiceTakeDownCoverProcedure: Service,
		livev1connect.ControlServiceGetTotalsProcedure:     Service,

		chatv1connect.ChatServiceSendMessageProcedure:      User,
		chatv1connect.ChatServiceForwardMessagesProcedure:  User,
		chatv1connect.ChatServiceEditMessageProcedure:      User,
		chatv1connect.ChatServiceRecallMessageProcedure:    User,
		chatv1connect.ChatServiceHideMessagesProcedure:     User,
		chatv1connect.ChatServiceListHiddenProcedure:       User,
		chatv1connect.ChatServiceSetReactionProcedure:      User,
		chatv1connect.ChatServiceListReactionsProcedure:    Guest,
		chatv1connect.ChatServicePinMessageProcedure:       User,
		chatv1connect.ChatServiceListPinsProcedure:         Guest,
		chatv1connect.ChatServiceListMessagesProcedure:     Guest,
		chatv1connect.ChatServicePullMessagesProcedure:     Guest,
		chatv1connect.ChatServiceSyncProcedure:             Guest,
		chatv1connect.ChatServiceGetConversationProcedure:  Guest,
		chatv1connect.ChatServiceOpenDirectProcedure:       User,
		chatv1connect.ChatServiceUpdateSettingsProcedure:   User,
		chatv1connect.ChatServiceAdvancePositionsProcedure: User,
		chatv1connect.ChatServiceGetReceiptsProcedure:      User,
		chatv1connect.ChatServiceListReadersProcedure:      User,
		chatv1connect.ChatServiceLikeProcedure:             User,

		chatv1connect.GroupServiceCreateGroupProcedure:     User,
		chatv1connect.GroupServiceUpdateGroupProcedure:     User,
		chatv1connect.GroupServiceAddMembersProcedure:      User,
		chatv1connect.GroupServiceJoinGroupProcedure:       User,
		chatv1connect.GroupServiceLeaveGroupProcedure:      User,
		chatv1connect.GroupServiceRemoveMembersProcedure:   User,
		chatv1connect.GroupServiceSetMemberRoleProcedure:   User,
		chatv1connect.GroupServiceTransferGroupProcedure:   User,
		chatv1connect.GroupServiceDisbandGroupProcedure:    User,
		chatv1connect.GroupServiceMuteMemberProcedure:      User,
		chatv1connect.GroupServiceBanUserProcedure:         User,
		chatv1connect.GroupServiceUnbanUserProcedure:       User,
		chatv1connect.GroupServiceListBannedUsersProcedure: User,
		chatv1connect.GroupServiceListMembersProcedure:     User,
		chatv1connect.GroupServiceSyncMembersProcedure:     User,

		chatv1connect.ConversationServiceCreateConversationProcedure:  Service,
		chatv1connect.ConversationServiceDeleteMessageProcedure:       Service,
		chatv1connect.ConversationServiceMuteUserProcedure:            Service,
		chatv1connect.ConversationServiceUnmuteUserProcedure:          Service,
		chatv1connect.ConversationServiceListMutesProcedure:           Service,
		chatv1connect.ConversationServiceListConversationIdsProcedure: Service,
		chatv1connect.ConversationServiceGetRoomProcedure:             Service,
		chatv1connect.ConversationServiceFilterContactsProcedure:      Service,
		chatv1connect.ConversationServiceListMemberIdsProcedure:       Service,
		chatv1connect.ConversationServiceSendSystemMessageProcedure:   Service,
		chatv1connect.ConversationServiceGetTotalsProcedure:           Service,

		presencev1connect.PresenceServiceBatchGetPresenceProcedure: Guest,
		presencev1connect.PresenceServiceCountPeopleProcedure:      Guest,
		presencev1connect.PresenceServiceSetStatusProcedure:        User,
		presencev1connect.PresenceServiceGetPrivacyProcedure:       User,
		presencev1connect.PresenceServiceUpdatePrivacyProcedure:    User,

		edgev1connect.EdgeServiceListAccessPointsProcedure: Public,
		edgev1connect.EdgeServiceConnectProcedure:          Guest,
		edgev1connect.EdgeServiceSendProcedure:             Guest,

		edgev1connect.PushServicePushToDevicesProcedure:      Service,
		edgev1connect.PushServicePushToUsersProcedure:        Service,
		edgev1connect.PushServicePushToConversationProcedure: Service,
		edgev1connect.PushServicePushToEveryoneProcedure:     Service,
		edgev1connect.PushServiceKickUsersProcedure:          Service,

		sitev1connect.SiteServiceGetSiteProcedure: Public,

		adminv1connect.AdminServiceGetOverviewProcedure:      Moderator,
		adminv1connect.AdminServiceListUsersProcedure:        Moderator,
		adminv1connect.AdminServiceGetUserProcedure:          Moderator,
		adminv1connect.AdminServiceListRoomsProcedure:        Moderator,
		adminv1connect.AdminServiceEndBroadcastProcedure:     Moderator,
		adminv1connect.AdminServiceWarnStreamerProcedure:     Moderator,
		adminv1connect.AdminServiceTakeDownCoverProcedure:    Moderator,
		adminv1connect.AdminServiceDeleteMessageProcedure:    Moderator,
		adminv1connect.AdminServiceMuteUserProcedure:         Moderator,
		adminv1connect.AdminServiceUnmuteUserProcedure:       Moderator,
		adminv1connect.AdminServiceListMutesProcedure:        Moderator,
		adminv1connect.AdminServiceRevokeUserDeviceProcedure: Admin,
		adminv1connect.AdminServiceBanUserProcedure:          Admin,
		adminv1connect.AdminServiceUnbanUserProcedure:        Admin,
		adminv1connect.AdminServiceSetUserRoleProcedure:      Admin,
		adminv1connect.AdminServiceUpdateSiteProcedure:       Admin,
		adminv1connect.AdminServiceListAuditEntriesProcedure: Admin,

		"/grpc.health.v1.Health/Check":                                   Public,
		"/grpc.health.v1.Health/List":                                    Public,
		"/grpc.health.v1.Health/Watch":                                   Public,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      Public,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Public,
	}
}
