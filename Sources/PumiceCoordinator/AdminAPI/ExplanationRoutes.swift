import HTTPTypes
import Hummingbird
import PumiceModel

extension AdminRoutes {
  /// `GET /pumice/v1/volumes/{id}/explain`: where a volume is, what is being done about it, and what went wrong.
  func addExplanation(to routes: Routes) {
    routes.on(.get, "volumes/:id/explain", needs: .readVolumes) { call in
      let tables = call.tables
      let volume = try tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope)
      return try Response.json(Explanation(tables.row(of: volume), tables.messages(about: volume.id)))
    }
  }
}

private struct Explanation: Encodable {
  struct Subject: Encodable {
    let id: String
    let name: String
    let project: ProjectID
    let status: String
    let state: String
    let size: Int
    @OrNull var targetSize: Int?
    let type: String
    let revision: Int64
    @OrNull var failure: String?

    enum CodingKeys: String, CodingKey {
      case id, name, project, status, state, size, type, revision, failure
      case targetSize = "target_size"
    }
  }

  struct Placement: Encodable {
    @OrNull var pool: String?
    let tried: [String]
    @OrNull var zone: String?

    enum CodingKeys: String, CodingKey {
      case pool, tried
      case zone = "availability_zone"
    }
  }

  struct Attached: Encodable {
    let id: String
    @OrNull var instance: String?
    @OrNull var node: NodeName?
    /// Who connects without an agent.
    @OrNull var client: String?
    let state: String
    @OrNull var device: String?
    @OrNull var pendingWork: String?
    let attempts: Int
    @OrNull var nextTry: String?
    @OrNull var lastError: String?
    @OrNull var failure: String?

    init(_ attachment: Attachment) {
      id = attachment.id.description
      instance = attachment.instance?.description
      node = attachment.node
      client = attachment.client.map { $0.host.isEmpty ? $0.initiator ?? "" : $0.host }
      state = attachment.state.rawValue
      attempts = attachment.retry.attempts
      device = attachment.device
      pendingWork = attachment.pendingWork.map { "\($0)" }
      nextTry = attachment.retry.notBefore?.zulu
      lastError = attachment.retry.lastError
      failure = attachment.failure
    }

    enum CodingKeys: String, CodingKey {
      case id, instance, node, client, state, device, attempts, failure
      case pendingWork = "pending_work"
      case nextTry = "next_try"
      case lastError = "last_error"
    }
  }

  let volume: Subject
  let placement: Placement
  @OrNull var pendingWork: String?
  let attempts: Int
  @OrNull var nextTry: String?
  @OrNull var lastError: String?
  @OrNull var progress: Double?
  let attachments: [Attached]
  let messages: [ExplainedMessage]

  init(_ row: VolumeRow, _ messages: [UserMessage]) {
    let volume = row.volume
    self.volume = Subject(
      id: volume.id.description, name: volume.name, project: volume.project, status: row.status,
      state: volume.state.rawValue, size: volume.size.gibibytesRoundedUp,
      targetSize: volume.targetSize?.gibibytesRoundedUp, type: row.typeName, revision: volume.revision,
      failure: volume.failure)
    placement = Placement(
      pool: volume.pool?.description, tried: volume.triedPools.map(\.description), zone: volume.availabilityZone)
    attempts = volume.retry.attempts
    attachments = row.holders.map { Attached($0) }
    self.messages = ExplainedMessage.all(messages)
    pendingWork = volume.pendingWork.map(Self.word)
    nextTry = volume.retry.notBefore?.zulu
    lastError = volume.retry.lastError
    progress = volume.retry.progress
  }

  private static func word(for work: Volume.PendingWork) -> String {
    switch work {
    case .place: "place"
    case .provision(let pool): "provision on \(pool)"
    case .extend(let pool, let size): "extend on \(pool) to \(size)"
    case .revert(let pool, let snapshot): "revert on \(pool) to snapshot \(snapshot)"
    case .settle(let pool): "settle a revert that was given up on \(pool)"
    case .describe(let pool): "say on \(pool) whose it is"
    case .erase(let pool): "erase from \(pool)"
    case .keep(let pool): "have it stay on \(pool)"
    }
  }

  enum CodingKeys: String, CodingKey {
    case volume, placement, attempts, progress, attachments, messages
    case pendingWork = "pending_work"
    case nextTry = "next_try"
    case lastError = "last_error"
  }
}
