import Hummingbird
import PumiceModel

extension AdminRoutes {
  /// `GET /pumice/v1/snapshots/{id}/explain`: where a snapshot is, what is being done about it, and what went wrong.
  func addSnapshotExplanation(to routes: Routes) {
    routes.on(.get, "snapshots/:id/explain", needs: .readSnapshots) { call in
      let tables = call.tables
      let snapshot = try tables.snapshot(try call.id("id", ofA: "Snapshot"), of: call.caller.scope)
      let messages = tables.messages(about: snapshot.volume).filter { $0.snapshot == snapshot.id }
      return try Response.json(SnapshotExplanation(snapshot, messages))
    }
  }
}

private struct SnapshotExplanation: Encodable {
  struct Subject: Encodable {
    let id: String
    let name: String
    let project: ProjectID
    let volume: String
    let status: String
    let size: Int
    let revision: Int64
    @OrNull var failure: String?
    @OrNull var consistency: String?
    @OrNull var consistencyReason: String?

    enum CodingKeys: String, CodingKey {
      case id, name, project, volume, status, size, revision, failure, consistency
      case consistencyReason = "consistency_reason"
    }
  }

  struct Placement: Encodable {
    let pool: String
  }

  let snapshot: Subject
  let placement: Placement
  @OrNull var pendingWork: String?
  let attempts: Int
  @OrNull var nextTry: String?
  @OrNull var lastError: String?
  @OrNull var progress: Double?
  let messages: [ExplainedMessage]

  init(_ snapshot: Snapshot, _ messages: [UserMessage]) {
    self.snapshot = Subject(
      id: snapshot.id.description, name: snapshot.name, project: snapshot.project,
      volume: snapshot.volume.description, status: snapshot.state.rawValue, size: snapshot.size.gibibytesRoundedUp,
      revision: snapshot.revision, failure: snapshot.failure,
      consistency: snapshot.state == .creating ? nil : snapshot.consistency?.rawValue,
      consistencyReason: snapshot.consistencyReason)
    placement = Placement(pool: snapshot.pool.description)
    attempts = snapshot.retry.attempts
    self.messages = ExplainedMessage.all(messages)
    pendingWork = snapshot.pendingWork.map(Self.word)
    nextTry = snapshot.retry.notBefore?.zulu
    lastError = snapshot.retry.lastError
    progress = snapshot.retry.progress
  }

  private static func word(for work: Snapshot.PendingWork) -> String {
    switch work {
    case .take(let pool): "take on \(pool)"
    case .erase(let pool): "erase from \(pool)"
    }
  }

  enum CodingKeys: String, CodingKey {
    case snapshot, placement, attempts, progress, messages
    case pendingWork = "pending_work"
    case nextTry = "next_try"
    case lastError = "last_error"
  }
}
