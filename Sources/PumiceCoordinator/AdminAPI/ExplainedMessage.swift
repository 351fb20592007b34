import PumiceModel

/// A message to the user, as explanations show it.
struct ExplainedMessage: Encodable {
  let createdAt: String
  let action: String
  let text: String
  /// The snapshot of the volume that it is about, if it is about one.
  @OrNull var snapshotID: String?
  @OrNull var requestID: String?

  /// The oldest first.
  static func all(_ messages: [UserMessage]) -> [ExplainedMessage] {
    messages.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }.map { ExplainedMessage($0) }
  }

  private init(_ message: UserMessage) {
    createdAt = message.createdAt.zulu
    action = "\(message.action)"
    text = message.text
    snapshotID = message.snapshot?.description
    requestID = message.requestID
  }

  enum CodingKeys: String, CodingKey {
    case action, text
    case createdAt = "created_at"
    case snapshotID = "snapshot_id"
    case requestID = "request_id"
  }
}
