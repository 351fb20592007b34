import HTTPTypes
import Hummingbird
import PumiceModel

/// What `POST …/{collection}/{id}/action` can do; the raw values are the members of its body.
protocol ResourceAction: RawRepresentable<String>, CaseIterable, Sendable {
  associatedtype Kind

  /// Cinder's other actions.
  static var later: Set<String> { get }
  var permission: Permission { get }
  /// The microversion that brought it; before it there is none.
  var since: Microversion? { get }
  /// Whether what is said with it does not matter.
  var takesAnything: Bool { get }

  /// Gives the answer where that is more than 202.
  func perform(on id: Identifier<Kind>, _ fields: RequestFields, _ call: Call) async throws -> Response?
}

extension ResourceAction {
  var takesAnything: Bool { false }
}

extension Call {
  /// Does what the one member of the body says.
  func perform<Action: ResourceAction>(_ type: Action.Type, onA kind: String) async throws -> Response {
    let id: Identifier<Action.Kind> = try self.id("id", ofA: kind)
    let body = try await body()
    guard body.values.count == 1, let name = body.values.keys.first else {
      throw StorageError.invalid("body", "must name exactly one action.")
    }
    guard let action = Action(rawValue: name) else {
      throw APIError.invalid(
        Action.later.contains(name)
          ? "\(name) is not supported yet." : "There is no such action: \(JSONValue.string(name).excerpt).")
    }
    if let since = action.since, version < since { throw APIError.noSuchRoute }
    try caller.require(action.permission, for: name)
    let fields = action.takesAnything ? [:] : (try body.object(name))?.values ?? [:]
    return try await action.perform(on: id, RequestFields(fields), self) ?? .accepted
  }
}
