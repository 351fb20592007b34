import PumiceModel
import TestBed

/// A fleet on loopback whose coordinator has users: alice, a member of project demo, and ada, the admin.
struct Cloud: Sendable {
  static let password = "a password for tests"

  let fleet: LoopbackFleet
  /// The file with its users.
  let users: String

  init(in bed: Bed) async throws {
    users = bed.folder.file("users.json")
    let password = try bed.folder.write(Self.password + "\n", to: "password")
    for (name, project, role) in [("alice", "demo", "member"), ("ada", "admin", "admin")] {
      try await bed.run([
        try Binaries.path("pumice"), "user", "add", name, "--project", project, "--role", role, "--password-file",
        password, "--file", users,
      ])
    }
    fleet = try await LoopbackFleet(in: bed, authentication: "auth: builtin\nusers_file: \(users)")
  }

  /// A cloud that runs, with or without a guest, and its user and its admin with a client each.
  static func visited(
    by client: Walk.Client, hasGuest: Bool, _ visit: (_ cloud: Cloud, _ alice: Walk, _ ada: Walk) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let cloud = try await Cloud(in: bed)
      let (alice, ada) = (
        Walk(bed: bed, client: client, environment: cloud.environment("alice", project: "demo")),
        Walk(bed: bed, client: client, environment: cloud.environment("ada", project: "admin"))
      )
      try await cloud.fleet.telling {
        if hasGuest { try await cloud.start() } else { try await cloud.startDaemons() }
        try await visit(cloud, alice, ada)
      }
    }
  }

  /// Starts everything, and returns when the guest is up.
  func start() async throws {
    try await startDaemons()
    try await fleet.guest.start()
  }

  /// The same without a guest.
  func startDaemons() async throws {
    async let target: Void = fleet.target.start()
    async let libvirt: Void = fleet.libvirt.start()
    async let coordinator: Void = fleet.coordinator.daemon.start()
    _ = try await (target, libvirt, coordinator)
    try await fleet.agent.daemon.start()
  }

  /// What OpenStack's clients read: as whom, and for which project.
  func environment(_ user: String, project: String) -> [String: String] {
    [
      "OS_AUTH_URL": "\(fleet.coordinator.url)/identity", "OS_USERNAME": user, "OS_PASSWORD": Self.password,
      "OS_PROJECT_NAME": project, "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
      "OS_IDENTITY_API_VERSION": "3", "OS_VOLUME_API_VERSION": "3.70", "OS_COMPUTE_API_VERSION": "2.89",
    ]
  }
}
