import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// What Nova, and others who connect by themselves, said to a volume before there were attachments (3.27).
///
/// They name the volume only, so that it is the client's one attachment of it that is meant.
extension VolumeAction {
  func performForClient(on id: VolumeID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    let (scope, now, surroundings) = (call.caller.scope, call.now, call.api.surroundings)
    _ = try call.tables.volume(id, of: scope)
    switch self {
    case .reserve:
      _ = try await call.api.store.write {
        try $0.reserve(id, for: StorageClient(), isReserved: false, of: scope, at: now, in: surroundings)
      }
    case .unreserve:
      let reservations = call.tables.holders(of: id).filter {
        $0.client != nil && ($0.state == .attaching || $0.state == .reserved)
      }
      // As in Cinder, a volume that is not reserved is none the worse for it.
      for reservation in reservations { try await call.release(reservation.id) }
    case .attach:
      let (client, instance) = (
        StorageClient(
          host: try fields.text("host_name") ?? "", mountPoint: try fields.requiredText("mountpoint")),
        try fields.id("instance_uuid") as InstanceID?
      )
      let mode = try fields.mode("mode")
      guard instance != nil || !client.host.isEmpty else {
        throw StorageError.invalid("instance_uuid", "or host_name is required.")
      }
      try await call.api.store.write { tables in
        let isWaiting: (Attachment) -> Bool = { $0.state == .attaching || $0.state == .reserved }
        let found = tables.holders(of: id).contains { $0.client != nil && isWaiting($0) }
        let attachment =
          found
          ? try tables.clientAttachment(of: id, where: isWaiting)
          : try tables.reserve(
            id, for: client, instance: instance, mode: mode, isReserved: false, of: scope, at: now, in: surroundings)
        let wanted = try tables.volume(id, of: scope).mode(mode)
        _ = try tables.change(attachment.id, of: scope) { attachment throws(StorageError) in
          try attachment.complete(client, instance: instance, mode: wanted, at: now)
        }
      }
    case .beginDetaching:
      try await change(id, call) {
        $0.state == .attached
      } _: { attachment throws(StorageError) in
        try attachment.announceDetaching(at: now)
      }
    case .rollDetaching:
      try await change(id, call) {
        $0.state == .detaching
      } _: { attachment throws(StorageError) in
        try attachment.takeBackDetaching(at: now)
      }
    case .initializeConnection:
      let (client, mode) = try Self.connector(fields)
      let attachment = try await call.api.store.write { tables in
        let hasAny = tables.holders(of: id).contains { $0.client != nil }
        let attachment =
          hasAny
          ? try tables.clientAttachment(of: id)
          : try tables.reserve(
            id, for: client, mode: mode, isReserved: false, of: scope, at: now, in: surroundings)
        return try tables.change(attachment.id, of: scope) { attachment throws(StorageError) in
          try attachment.admit(client, at: now)
        }
      }
      return try Response.json(["connection_info": InitializedConnection(data: try await call.export(attachment))])
    case .terminateConnection:
      let (client, _) = try Self.connector(fields)
      // Of what is attached, the client tells later that it has let go, by os-detach.
      let connected = call.tables.holders(of: id).first {
        $0.state == .attaching && $0.client?.initiator == client.initiator
      }
      if let connected { try await call.release(connected.id) }
    case .detach, .forceDetach:
      let meant: AttachmentID? = try fields.id("attachment_id")
      let attachment = try call.tables.clientAttachment(of: id, meant)
      try await call.release(attachment.id)
    default: break
    }
    return nil
  }

  private static func connector(
    _ fields: RequestFields
  ) throws(StorageError) -> (client: StorageClient, mode: Attachment.Mode?) {
    guard let connector = try fields.object("connector") else { throw .invalid("connector", "is required.") }
    return try connector.connector()
  }

  private func change(
    _ id: VolumeID, _ call: Call, where condition: @escaping @Sendable (Attachment) -> Bool,
    _ change: @escaping @Sendable (inout Attachment) throws(StorageError) -> Void
  ) async throws {
    let scope = call.caller.scope
    try await call.api.store.write { tables in
      let attachment = try tables.clientAttachment(of: id, where: condition)
      _ = try tables.change(attachment.id, of: scope, change)
    }
  }
}

private struct InitializedConnection: Encodable {
  let type = ConnectionInfo.type
  let data: ConnectionInfo

  enum CodingKeys: String, CodingKey {
    case data
    case type = "driver_volume_type"
  }
}
