import HTTPTypes
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// A coordinator with two projects that have one of everything, and callers of every role in the first one.
struct PolicyFixture: Sendable {
  /// What one of the projects has.
  struct Holdings: Sendable {
    let project: ProjectID
    /// Free, with a snapshot, a message and metadata under `key`.
    let volume: VolumeID
    let snapshot: SnapshotID
    /// On the instance.
    let attached: VolumeID
    let attachment: AttachmentID
    let message: MessageID
    /// Private, and open to the project.
    let type: VolumeTypeID
    let encryption: VolumeEncryptionID
    let qosSpec: QoSSpecID
    /// Of a volume of its own.
    let transfer: TransferID
    /// With a volume of its own, and a group snapshot.
    let group: GroupID
    let groupType: GroupTypeID
    let groupSnapshot: GroupSnapshotID
  }

  static let instance = Instance(id: .random(), name: "vm", status: .active)

  let coordinator: CoordinatorFixture
  let own: Holdings
  let other: Holdings
  /// What every request begins with.
  private let tables: Tables

  static func with(_ body: @escaping @Sendable (PolicyFixture) async throws -> Void) async throws {
    let tokens =
      Role.allCases.map { TokenFile.Entry(token: token(of: $0), project: "demo", user: $0.rawValue, role: $0) }
      + [TokenFile.Entry(token: "token-of-a-stranger", project: "other", user: "stranger", role: .member)]
    // With nobody who works, what a request began stays as it is, and is undone before the next one.
    try await withCoordinator(tokens: tokens, nodes: [FakeNode("n1", instances: [instance])], isReconciled: false) {
      coordinator in
      let (policy, surroundings) = (coordinator.api.policy, coordinator.api.surroundings)
      let (own, other) = try await coordinator.api.store.write { tables in
        (
          try Holdings("demo", in: &tables, policy, surroundings),
          try Holdings("other", in: &tables, policy, surroundings)
        )
      }
      try await body(PolicyFixture(coordinator: coordinator, own: own, other: other, tables: coordinator.tables))
    }
  }

  /// Asks as a caller with this role, for its own project or one that the URL names, about what one of the projects has.
  func answer(
    to route: RegisteredRoute, _ expectation: PolicyExpectation, as role: Role, about holdings: Holdings,
    inProject project: ProjectID? = nil
  ) async throws -> Answer {
    let tables = tables
    try await coordinator.api.store.write { $0 = tables }
    let prefix = project == nil ? route.prefixes[0] : route.prefixes[1].replacing("{project_id}", with: project ?? "")
    return try await coordinator.send(
      route.method, "/\(prefix)/\(holdings.filled(route.path + expectation.query))",
      expectation.body.map { holdings.filled($0) }, token: Self.token(of: role),
      headers: ["OpenStack-API-Version": "volume latest, compute latest"])
  }

  private static func token(of role: Role) -> String { "token-of-the-\(role.rawValue)" }
}

extension PolicyFixture.Holdings {
  fileprivate init(
    _ project: ProjectID, in tables: inout Tables, _ policy: Policy, _ surroundings: Surroundings
  ) throws {
    self.project = project
    tables.setQuota(["volumes": -1, "snapshots": -1], of: project)
    var volumes: [Volume] = []
    for _ in 0..<4 {
      var order = VolumeOrder(project: project, size: .gibibytes(1))
      order.metadata = ["key": "value"]
      let volume = try tables.createVolume(order, policy: policy, at: surroundings.now(), in: surroundings)
      try tables.confirm(volume, at: surroundings.now())
      _ = try tables.changeImageMetadata(
        of: volume.id, of: project, .merge(["key": "value"]), at: surroundings.now())
      volumes.append(volume)
    }
    volume = volumes[0].id
    attached = volumes[1].id
    transfer = try tables.offerVolume(volumes[2].id, of: project, at: surroundings.now(), in: surroundings).transfer.id
    var order = SnapshotOrder(of: volume)
    order.metadata = ["key": "value"]
    let snapshot = try tables.createSnapshot(order, of: project, at: surroundings.now(), in: surroundings)
    try tables.confirm(snapshot, at: surroundings.now())
    self.snapshot = snapshot.id
    var attachment = try tables.attach(
      attached, to: PolicyFixture.instance.id, device: nil, of: project, at: surroundings.now(), in: surroundings)
    try attachment.confirm(device: project == "demo" ? "vdb" : "vdc", at: surroundings.now())
    tables.put(attachment)
    self.attachment = attachment.id
    let message = UserMessage(
      id: surroundings.newID(), project: project, volume: volume, action: .extend, text: "No.",
      createdAt: surroundings.now())
    tables.put(message)
    self.message = message.id
    let type = try tables.createType(
      name: "private to \(project)", summary: "", isPublic: false, extraSpecs: ["multiattach": "<is> True"],
      at: surroundings.now(), in: surroundings)
    try tables.setAccess(to: type.id, of: project, true)
    self.type = type.id
    groupType = try tables.createGroupType(
      name: "groups of \(project)", summary: "", isPublic: true, specs: ["key": "value"], at: surroundings.now(),
      in: surroundings
    ).id
    let group = try tables.createGroup(
      GroupOrder(project: project, type: "\(groupType)", volumeTypes: [VolumeType.defaultName]),
      at: surroundings.now(), in: surroundings)
    try tables.editGroup(group.id, of: project, GroupChange(added: [volumes[3].id]))
    self.group = group.id
    groupSnapshot = try tables.createGroupSnapshot(
      of: group.id, of: project, user: "", name: "", summary: "", policy: policy, at: surroundings.now(),
      in: surroundings
    ).id
    for snapshot in tables.snapshots(in: groupSnapshot) { try tables.confirm(snapshot, at: surroundings.now()) }
    _ = try tables.setDefaultType(VolumeType.defaultName, of: project)
    let encryption = VolumeEncryption(
      id: surroundings.newID(), provider: "luks", location: .frontEnd, createdAt: surroundings.now())
    try tables.setEncryption(of: type.id, to: encryption)
    self.encryption = encryption.id
    qosSpec = try tables.createQoSSpec(
      name: "for \(project)", consumer: .backEnd, rules: ["key": "value"], at: surroundings.now(), in: surroundings
    ).id
  }

  /// A path or a body with the names of these things.
  func filled(_ text: String) -> String {
    let collection = text.prefix { $0 != "/" }
    let id: String =
      switch collection {
      case "snapshots": "\(snapshot)"
      case "attachments": "\(attachment)"
      case "messages": "\(message)"
      case "types": "\(type)"
      case "qos-specs": "\(qosSpec)"
      case "flavors": "1x0MiB"
      case "os-volume-transfer", "volume-transfers": "\(transfer)"
      case "groups": "\(group)"
      case "group_types": "\(groupType)"
      case "group_snapshots": "\(groupSnapshot)"
      default: "\(volume)"
      }
    return [
      ("{id}", id), ("{volume}", "\(attached)"), ("{server}", "\(PolicyFixture.instance.id)"), ("{name}", "n1"),
      ("{alias}", "os-services"),
      ("{key}", collection == "types" ? "multiattach" : "key"), ("{project}", project), ("{class}", "default"),
      ("{encryption}", "\(encryption)"), ("ATTACHMENT", "\(attachment)"), ("GROUP-TYPE", "\(groupType)"),
      ("GROUP", "\(group)"), ("TYPE", "\(type)"), ("VOLUME", "\(volume)"), ("SNAPSHOT", "\(snapshot)"),
      ("ATTACHED", "\(attached)"), ("INSTANCE", "\(PolicyFixture.instance.id)"), ("PROJECT", project),
    ].reduce(text) { $0.replacing($1.0, with: $1.1) }
  }
}
