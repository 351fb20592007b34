import PumiceModel

/// The policy, written down a second time: every route and every action has its line, or more of them.
///
/// In paths and bodies, `VOLUME`, `SNAPSHOT`, `TYPE`, … stand for what the project in question has (`PolicyFixture`).
extension PolicyExpectation {
  static let all: [PolicyExpectation] =
    volumes + clients + snapshots + types + typeRules + transfers + quotas + operation + services + groups + compute
    + pumice

  private static let volumes: [PolicyExpectation] = [
    .init("GET v3/volumes", .reader, 200), .init("GET v3/volumes/detail", .reader, 200),
    .init("GET v3/volumes/summary", .reader, 200), .init("GET v3/resource_filters", .reader, 200),
    .init("POST v3/volumes", .member, 202, body: #"{"volume": {"size": 1}}"#),
    .own("GET v3/volumes/{id}", .reader, 200),
    .own("PUT v3/volumes/{id}", .member, 200, body: #"{"volume": {"name": "n"}}"#),
    .own("DELETE v3/volumes/{id}", .member, 202, query: "?cascade=true"),
    .own("GET v3/volumes/{id}/metadata", .reader, 200),
    .own("POST v3/volumes/{id}/metadata", .member, 200, body: #"{"metadata": {"a": "b"}}"#),
    .own("PUT v3/volumes/{id}/metadata", .member, 200, body: #"{"metadata": {"a": "b"}}"#),
    .own("GET v3/volumes/{id}/metadata/{key}", .reader, 200),
    .own("PUT v3/volumes/{id}/metadata/{key}", .member, 200, body: #"{"meta": {"key": "b"}}"#),
    .own("DELETE v3/volumes/{id}/metadata/{key}", .member, 200),
    .own("POST v3/volumes/{id}/action os-extend", .member, 202, body: #"{"os-extend": {"new_size": 2}}"#),
    .own("POST v3/volumes/{id}/action revert", .member, 202, body: #"{"revert": {"snapshot_id": "SNAPSHOT"}}"#),
    .own(
      "POST v3/volumes/{id}/action os-set_bootable", .member, 200, body: #"{"os-set_bootable": {"bootable": true}}"#),
    .own(
      "POST v3/volumes/{id}/action os-set_image_metadata", .member, 200,
      body: #"{"os-set_image_metadata": {"metadata": {"a": "b"}}}"#),
    .own(
      "POST v3/volumes/{id}/action os-unset_image_metadata", .member, 200,
      body: #"{"os-unset_image_metadata": {"key": "key"}}"#),
    .own("POST v3/volumes/{id}/action os-show_image_metadata", .reader, 200, body: #"{"os-show_image_metadata": {}}"#),
    .own(
      "POST v3/volumes/{id}/action os-reset_status", .admin, 202, body: #"{"os-reset_status": {"status": "available"}}"#
    ),
    // Nothing is taken away by force that has snapshots.
    .own("POST v3/volumes/{id}/action os-force_delete", .admin, 400, body: #"{"os-force_delete": {}}"#),
    .init("GET v3/messages", .reader, 200), .own("GET v3/messages/{id}", .reader, 200),
    .own("DELETE v3/messages/{id}", .member, 204),
  ]

  private static func manageable(_ path: String, _ order: String) -> [PolicyExpectation] {
    // There is none but those that are known.
    return [
      .init("GET v3/\(path)", .admin, 200, query: "?host=n1@ssd"),
      .init("GET v3/\(path)/detail", .admin, 200, query: "?host=n1@ssd"),
      .init("POST v3/\(path)", .admin, 400, body: order),
    ]
  }

  /// Of those who connect by themselves. The attachment is one of a compute node's instances, which they can't change.
  private static let clients: [PolicyExpectation] =
    ["manageable_volumes", "os-volume-manage"].flatMap {
      manageable($0, #"{"volume": {"host": "n1@ssd", "ref": {"source-name": "volume-VOLUME"}}}"#)
    } + [
      // It has a snapshot.
      .own("POST v3/volumes/{id}/action os-unmanage", .admin, 400, body: #"{"os-unmanage": {}}"#),
      .init("GET v3/extensions", .reader, 200), .init("GET v3/extensions/{alias}", .reader, 200),
      .init("GET v3/attachments", .reader, 200), .init("GET v3/attachments/detail", .reader, 200),
      .own("GET v3/attachments/{id}", .reader, 200),
      .own("POST v3/attachments", .member, 200, body: #"{"attachment": {"volume_uuid": "VOLUME"}}"#),
      .own(
        "PUT v3/attachments/{id}", .member, 400,
        body: #"{"attachment": {"connector": {"initiator": "iqn.2026-11.test:h"}}}"#),
      .own("POST v3/attachments/{id}/action os-complete", .member, 400, body: #"{"os-complete": {}}"#),
      .own("DELETE v3/attachments/{id}", .member, 200),
      .own(
        "POST v3/volumes/{id}/action os-update_readonly_flag", .member, 202,
        body: #"{"os-update_readonly_flag": {"readonly": true}}"#),
      .own(
        "POST v3/volumes/{id}/action os-retype", .member, 202, body: #"{"os-retype": {"new_type": "__DEFAULT__"}}"#),
      .own("POST v3/volumes/{id}/action os-reserve", .member, 202, body: #"{"os-reserve": {}}"#),
      .own("POST v3/volumes/{id}/action os-unreserve", .member, 202, body: #"{"os-unreserve": {}}"#),
      .own(
        "POST v3/volumes/{id}/action os-attach", .member, 202,
        body: #"{"os-attach": {"host_name": "h", "mountpoint": "/dev/sdb"}}"#),
      .own("POST v3/volumes/{id}/action os-begin_detaching", .member, 404, body: #"{"os-begin_detaching": {}}"#),
      .own("POST v3/volumes/{id}/action os-roll_detaching", .member, 404, body: #"{"os-roll_detaching": {}}"#),
      .own(
        "POST v3/volumes/{id}/action os-initialize_connection", .member, 400,
        body: #"{"os-initialize_connection": {"connector": {"initiator": "local:n1"}}}"#),
      .own(
        "POST v3/volumes/{id}/action os-terminate_connection", .member, 202,
        body: #"{"os-terminate_connection": {"connector": {"initiator": "iqn.2026-11.test:h"}}}"#),
      .own(
        "POST v3/volumes/{id}/action os-detach", .member, 400, body: #"{"os-detach": {"attachment_id": "ATTACHMENT"}}"#),
      .own(
        "POST v3/volumes/{id}/action os-force_detach", .admin, 400,
        body: #"{"os-force_detach": {"attachment_id": "ATTACHMENT"}}"#),
    ]

  private static let snapshots: [PolicyExpectation] =
    ["manageable_snapshots", "os-snapshot-manage"].flatMap {
      manageable($0, #"{"snapshot": {"volume_id": "VOLUME", "ref": {"source-name": "snapshot-SNAPSHOT"}}}"#)
    } + [
      .own("POST v3/snapshots/{id}/action os-unmanage", .admin, 202, body: #"{"os-unmanage": {}}"#),
      .init("GET v3/snapshots", .reader, 200), .init("GET v3/snapshots/detail", .reader, 200),
      .own("POST v3/snapshots", .member, 202, body: #"{"snapshot": {"volume_id": "VOLUME"}}"#),
      .own("GET v3/snapshots/{id}", .reader, 200),
      .own("PUT v3/snapshots/{id}", .member, 200, body: #"{"snapshot": {"name": "n"}}"#),
      .own("DELETE v3/snapshots/{id}", .member, 202),
      .own("GET v3/snapshots/{id}/metadata", .reader, 200),
      .own("POST v3/snapshots/{id}/metadata", .member, 200, body: #"{"metadata": {"a": "b"}}"#),
      .own("PUT v3/snapshots/{id}/metadata", .member, 200, body: #"{"metadata": {"a": "b"}}"#),
      .own("GET v3/snapshots/{id}/metadata/{key}", .reader, 200),
      .own("PUT v3/snapshots/{id}/metadata/{key}", .member, 200, body: #"{"meta": {"key": "b"}}"#),
      .own("DELETE v3/snapshots/{id}/metadata/{key}", .member, 200),
      .own(
        "POST v3/snapshots/{id}/action os-reset_status", .admin, 202,
        body: #"{"os-reset_status": {"status": "available"}}"#),
      .own("POST v3/snapshots/{id}/action os-force_delete", .admin, 202, body: #"{"os-force_delete": {}}"#),
    ]

  private static let types: [PolicyExpectation] = [
    .init("GET v3/types", .reader, 200), .init("GET v3/types/default", .reader, 200),
    .own("GET v3/types/{id}", .reader, 200),
    .init("POST v3/types", .admin, 200, body: #"{"volume_type": {"name": "fast"}}"#),
    .own("PUT v3/types/{id}", .admin, 200, body: #"{"volume_type": {"name": "slow"}}"#),
    .own("DELETE v3/types/{id}", .admin, 202),
    .own("GET v3/types/{id}/extra_specs", .reader, 200),
    .own("POST v3/types/{id}/extra_specs", .admin, 200, body: #"{"extra_specs": {"a": "b"}}"#),
    .own("GET v3/types/{id}/extra_specs/{key}", .reader, 200),
    .own("PUT v3/types/{id}/extra_specs/{key}", .admin, 200, body: #"{"multiattach": "<is> False"}"#),
    .own("DELETE v3/types/{id}/extra_specs/{key}", .admin, 202),
    .own("GET v3/types/{id}/os-volume-type-access", .admin, 200),
    .own("POST v3/types/{id}/action", .admin, 202, body: #"{"removeProjectAccess": {"project": "PROJECT"}}"#),
  ]

  private static let quotas: [PolicyExpectation] = [
    .own("GET v3/os-quota-sets/{project}", .reader, 200), .own("GET v3/os-quota-sets/{project}/defaults", .reader, 200),
    .own("PUT v3/os-quota-sets/{project}", .admin, 200, body: #"{"quota_set": {"volumes": 20}}"#),
    .own("DELETE v3/os-quota-sets/{project}", .admin, 200),
    .init("GET v3/os-quota-class-sets/{class}", .reader, 200), .init("GET v3/limits", .reader, 200),
  ]

  private static let operation: [PolicyExpectation] = [
    .init("GET v3/os-services", .admin, 200),
    .init("PUT v3/os-services/enable", .admin, 200, body: #"{"binary": "cinder-volume", "host": "n1@ssd"}"#),
    .init("PUT v3/os-services/disable", .admin, 200, body: #"{"binary": "cinder-volume", "host": "n1@ssd"}"#),
    .init(
      "PUT v3/os-services/disable-log-reason", .admin, 200,
      body: #"{"binary": "cinder-volume", "host": "n1@ssd", "disabled_reason": "because"}"#),
    .init("GET v3/os-hosts", .admin, 200), .init("GET v3/os-hosts/{name}", .admin, 200),
    .init("PUT v3/os-hosts/{name}", .admin, 200, body: #"{"status": "disable"}"#),
    .init("GET v3/os-availability-zone", .reader, 200), .init("GET v3/scheduler-stats/get_pools", .admin, 200),
  ]

  private static let compute: [PolicyExpectation] = [
    .init("GET compute/v2.1/servers", .reader, 200), .init("GET compute/v2.1/servers/detail", .reader, 200),
    .init("GET compute/v2.1/servers/{server}", .reader, 200),
    .init("GET compute/v2.1/servers/{server}/os-volume_attachments", .reader, 200),
    .own("GET compute/v2.1/servers/{server}/os-volume_attachments/{volume}", .reader, 200),
    .own(
      "POST compute/v2.1/servers/{server}/os-volume_attachments", .member, 200,
      body: #"{"volumeAttachment": {"volumeId": "VOLUME"}}"#),
    .own(
      "PUT compute/v2.1/servers/{server}/os-volume_attachments/{volume}", .member, 202,
      body: #"{"volumeAttachment": {"volumeId": "ATTACHED", "delete_on_termination": true}}"#),
    .own("DELETE compute/v2.1/servers/{server}/os-volume_attachments/{volume}", .member, 202),
    .init("GET compute/v2.1/flavors", .reader, 200), .init("GET compute/v2.1/flavors/detail", .reader, 200),
    .init("GET compute/v2.1/flavors/{id}/os-extra_specs", .reader, 200),
    .init("GET compute/v2.1/flavors/{id}/os-extra_specs/{key}", .reader, 404),
    .init("GET compute/v2.1/flavors/{id}", .reader, 200), .init("GET compute/v2.1/limits", .reader, 200),
    .init("GET compute/v2.1/os-availability-zone", .reader, 200),
    .init("GET compute/v2.1/os-availability-zone/detail", .admin, 200),
    .init(
      "POST compute/v2.1/os-server-external-events", .service, 200,
      body: #"{"events": [{"name": "volume-extended", "server_uuid": "INSTANCE", "tag": "VOLUME"}]}"#),
  ]

  private static let pumice: [PolicyExpectation] = [
    .own("GET pumice/v1/volumes/{id}/explain", .reader, 200),
    .own("GET pumice/v1/snapshots/{id}/explain", .reader, 200),
    .init("GET pumice/v1/nodes", .admin, 200), .init("GET pumice/v1/nodes/{name}", .admin, 200),
    .init("PUT pumice/v1/nodes/{name}", .admin, 200, body: #"{"enabled": true}"#),
    .init("GET pumice/v1/doctor", .admin, 200),
  ]
}
