import PumiceModel

/// Who makes a request, and for which project.
struct Caller: Sendable, Equatable {
  typealias Role = PumiceModel.Role

  var project: ProjectID
  var user: String
  var role: Role

  /// The project whose rows the caller may reach by id; `nil` is every project. What lies beyond looks like it is not there.
  var scope: ProjectID? { role >= .service ? nil : project }
}
