import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// An offer of a volume as Cinder shows it: in brief, in detail, or, once, with its key.
private struct TransferResource: Encodable {
  let id: String
  let volumeID: String
  @OrNull var name: String?
  let links: [Link]
  var createdAt: String?
  var key: String?
  /// Since 3.55.
  var leavesSnapshots: Bool?
  /// Since 3.57.
  var source: String?
  var destination: OrNull<String>?
  var isAccepted: Bool?

  init(_ transfer: Transfer, of call: Call, at path: String, isDetailed: Bool = true, key: String? = nil) {
    id = transfer.id.description
    volumeID = transfer.volume.description
    let project = Query.encoded(call.caller.project)
    links = [
      Link(rel: "self", href: "\(call.baseURL)/v3/\(project)/\(path)/\(transfer.id)"),
      Link(rel: "bookmark", href: "\(call.baseURL)/\(project)/\(path)/\(transfer.id)"),
    ]
    name = transfer.name.isEmpty ? nil : transfer.name
    guard isDetailed else { return }
    createdAt = transfer.createdAt.cinder
    self.key = key
    if call.version >= Microversion(3, 55) { leavesSnapshots = transfer.leavesSnapshots }
    if call.version >= Microversion(3, 57) {
      source = transfer.project
      destination = OrNull(wrappedValue: nil)
      isAccepted = false
    }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, links
    case volumeID = "volume_id"
    case createdAt = "created_at"
    case key = "auth_key"
    case leavesSnapshots = "no_snapshots"
    case source = "source_project_id"
    case destination = "destination_project_id"
    case isAccepted = "accepted"
  }
}

private struct TransferList: Encodable {
  let transfers: [TransferResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case transfers
    case links = "transfers_links"
  }
}

extension BlockStorageRoutes {
  /// Under the name of before, and under the one of since 3.55.
  func addTransfers(to routes: Routes) {
    addTransfers(to: routes, at: "os-volume-transfer", since: nil)
    addTransfers(to: routes, at: "volume-transfers", since: Microversion(3, 55))
  }

  private func addTransfers(to routes: Routes, at path: String, since: Microversion?) {
    let (all, one) = (RouterPath(path), RouterPath("\(path)/:id"))
    routes.on(.get, all, needs: .readVolumes, since: since) { try Self.list($0, at: path, isDetailed: false) }
    routes.on(.get, RouterPath("\(path)/detail"), needs: .readVolumes, since: since) {
      try Self.list($0, at: path, isDetailed: true)
    }
    routes.on(.get, one, needs: .readVolumes, since: since) { call in
      let transfer = try call.tables.transfer(try call.id("id", ofA: "Transfer"), of: call.caller.scope)
      return try Response.json(["transfer": TransferResource(transfer, of: call, at: path)])
    }
    routes.on(.post, all, needs: .writeVolumes, since: since) { call in
      let body = try await call.body()
      try body.refuseUnknown(except: ["transfer"])
      let fields = try body.root("transfer")
      try fields.refuseUnknown(except: since == nil ? ["volume_id", "name"] : ["volume_id", "name", "no_snapshots"])
      guard let id: VolumeID = try fields.id("volume_id") else {
        throw StorageError.invalid("volume_id", "is required.")
      }
      let (name, leavesSnapshots) = (try fields.text("name") ?? "", try fields.flag("no_snapshots") ?? false)
      let (scope, now, surroundings) = (call.caller.scope, call.now, call.api.surroundings)
      let (transfer, key) = try await call.api.store.write {
        try $0.offerVolume(
          id, of: scope, name: name, leavesSnapshots: leavesSnapshots, at: now, in: surroundings)
      }
      call.context.logger.info(
        "Volume offered", metadata: ["volume.id": "\(id)", "transfer.id": "\(transfer.id)"])
      return try Response.json(
        ["transfer": TransferResource(transfer, of: call, at: path, key: key)], status: .accepted)
    }
    routes.on(.post, RouterPath("\(path)/:id/accept"), needs: .writeVolumes, since: since) { call in
      let id: TransferID = try call.id("id", ofA: "Transfer")
      let body = try await call.body()
      try body.refuseUnknown(except: ["accept"])
      let fields = try body.root("accept")
      try fields.refuseUnknown(except: ["auth_key"])
      let key = try fields.transferKey()
      let (caller, now) = (call.caller, call.now)
      let transfer = try await call.api.store.write {
        try $0.acceptTransfer(id, key: key, into: caller.project, by: caller.user, at: now)
      }
      call.context.logger.notice(
        "Volume has changed hands",
        metadata: [
          "volume.id": "\(transfer.volume)", "transfer.id": "\(id)", "from": "\(transfer.project)",
          "to": "\(caller.project)",
        ])
      return try Response.json(
        ["transfer": TransferResource(transfer, of: call, at: path, isDetailed: false)], status: .accepted)
    }
    routes.on(.delete, one, needs: .writeVolumes, since: since) { call in
      let id: TransferID = try call.id("id", ofA: "Transfer")
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.withdrawTransfer(id, of: scope, at: now) }
      call.context.logger.info("Offer of a volume taken back", metadata: ["transfer.id": "\(id)"])
      return .accepted
    }
  }

  private static func list(_ call: Call, at path: String, isDetailed: Bool) throws -> Response {
    let isForAll = try call.query.flag("all_tenants") && call.caller.role == .admin
    let sort = try ListSort<Transfer>(
      call.query,
      [
        "id": { $0.id.order(to: $1.id) }, "name": { $0.name.order(to: $1.name) },
        "volume_id": { $0.volume.order(to: $1.volume) }, "created_at": { $0.createdAt.order(to: $1.createdAt) },
      ])
    let found = sort.applied(
      to: call.tables.transfers.values.filter { isForAll || $0.project == call.caller.project }
        .sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) })
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    var list = TransferList(
      transfers: slice.map { TransferResource($0, of: call, at: path, isDetailed: isDetailed) })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }
}

extension RequestFields {
  /// Some clients send one that has only digits as a number.
  fileprivate func transferKey() throws(StorageError) -> String {
    if case .integer(let number) = value("auth_key") { return String(number) }
    return try requiredText("auth_key")
  }
}
