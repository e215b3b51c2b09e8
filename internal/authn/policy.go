package authn

import (
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
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
		authv1connect.AuthServiceRefreshTokenProcedure:     Public,
		authv1connect.AuthServiceSignOutProcedure:          Guest,
		authv1connect.AuthServiceGetMeProcedure:            Guest,
		authv1connect.AuthServiceUpdateProfileProcedure:    User,
		authv1connect.AuthServiceListDevicesProcedure:      Guest,
		authv1connect.AuthServiceRevokeDeviceProcedure:     Guest,

		authv1connect.DirectoryServiceBatchGetUsersProcedure:   Service,
		authv1connect.DirectoryServiceListUsersProcedure:       Service,
		authv1connect.DirectoryServiceBanUserProcedure:         Service,
		authv1connect.DirectoryServiceUnbanUserProcedure:       Service,
		authv1connect.DirectoryServiceSetRoleProcedure:         Service,
		authv1connect.DirectoryServiceListRevocationsProcedure: Service,

		livev1connect.LiveServiceListCategoriesProcedure:  Public,
		livev1connect.LiveServiceListRoomsProcedure:       Public,
		livev1connect.LiveServiceGetRoomProcedure:         Guest,
		livev1connect.LiveServiceCreateRoomProcedure:      User,
		livev1connect.LiveServiceUpdateRoomProcedure:      User,
		livev1connect.LiveServiceIssueStreamKeyProcedure:  User,
		livev1connect.LiveServiceRevokeStreamKeyProcedure: User,
		livev1connect.LiveServiceEndBroadcastProcedure:    User,
		livev1connect.LiveServiceGetStreamStatsProcedure:  User,

		livev1connect.ControlServiceStopBroadcastProcedure: Service,

		chatv1connect.ChatServiceSubscribeProcedure:    Guest,
		chatv1connect.ChatServiceListMessagesProcedure: Guest,
		chatv1connect.ChatServiceSendMessageProcedure:  User,
		chatv1connect.ChatServiceLikeProcedure:         User,

		chatv1connect.ConversationServiceCreateConversationProcedure: Service,

		adminv1connect.AdminServiceListUsersProcedure:        Admin,
		adminv1connect.AdminServiceBanUserProcedure:          Admin,
		adminv1connect.AdminServiceUnbanUserProcedure:        Admin,
		adminv1connect.AdminServiceSetUserRoleProcedure:      Admin,
		adminv1connect.AdminServiceListRoomsProcedure:        Admin,
		adminv1connect.AdminServiceEndBroadcastProcedure:     Admin,
		adminv1connect.AdminServiceListAuditEntriesProcedure: Admin,

		"/grpc.health.v1.Health/Check":                                   Public,
		"/grpc.health.v1.Health/List":                                    Public,
		"/grpc.health.v1.Health/Watch":                                   Public,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      Public,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Public,
	}
}
