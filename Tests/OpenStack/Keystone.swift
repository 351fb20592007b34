import Foundation
import TestBed

/// Debian's Keystone with its database in the bed, and users in it: as the clients' OS_* variables name them.
struct Keystone: Sendable {
  static let password = "a-password-for-tests"

  let daemon: Daemon
  /// With the version.
  let url: String
  private let bed: Bed
  private let configuration: String
  private let folder: String
  private let settings: String

  init(in bed: Bed) throws {
    self.bed = bed
    let port = try freePort()
    url = "http://127.0.0.1:\(port)/v3"
    folder = try bed.folder.folder("keystone")
    for name in ["fernet", "credential"] { try bed.folder.folder("keystone/\(name)") }
    settings = """
      [DEFAULT]
      log_file = \(folder)/keystone.log
      [database]
      connection = sqlite:///\(folder)/keystone.sqlite
      [fernet_tokens]
      key_repository = \(folder)/fernet
      [fernet_receipts]
      key_repository = \(folder)/fernet
      [credential]
      key_repository = \(folder)/credential
      [cache]
      enabled = false
      [identity]
      password_hash_rounds = 4

      """
    configuration = try bed.folder.write(settings, to: "keystone.conf")
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/keystone-wsgi-public") else {
      throw TestBedFailure("Debian's python3-keystone is missing; make setup installs it.")
    }
    let address = "127.0.0.1:\(port)"
    daemon = Daemon(
      "keystone",
      [
        "/usr/bin/keystone-wsgi-public", "--host", "127.0.0.1", "--port", "\(port)", "--", "--config-file",
        configuration,
      ],
      in: bed
    ) { answers(address) }
  }

  /// Makes the database and starts it; its admin is `admin`.
  func start() async throws {
    try await manage("db_sync")
    // Readers don't lock out writers then; Keystone holds several connections.
    try await bed.run([
      "/usr/bin/python3", "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('pragma journal_mode=wal')",
      "\(folder)/keystone.sqlite",
    ])
    let owner = try await bed.run(["id", "-un"]).split(separator: "\n").first.map(String.init) ?? "root"
    try await manage("fernet_setup", "--keystone-user", owner, "--keystone-group", owner)
    try await manage(
      "bootstrap", "--bootstrap-password", Self.password, "--bootstrap-public-url", url, "--bootstrap-region-id",
      "RegionOne")
    try await daemon.start(within: .seconds(60))
  }

  /// Has the tokens that it gives out end after this many seconds, from its next start on.
  func write(lifetime: Int) throws {
    _ = try bed.folder.write("\(settings)[token]\nexpiration = \(lifetime)\n", to: "keystone.conf")
  }

  private func manage(_ words: String...) async throws {
    try await bed.run(["/usr/bin/keystone-manage", "--config-file", configuration] + words, within: .seconds(120))
  }

  func environment(_ user: String, project: String) -> [String: String] {
    [
      "OS_AUTH_URL": url, "OS_USERNAME": user, "OS_PASSWORD": Self.password, "OS_PROJECT_NAME": project,
      "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default", "OS_IDENTITY_API_VERSION": "3",
      "OS_VOLUME_API_VERSION": "3.70", "OS_COMPUTE_API_VERSION": "2.89",
    ]
  }
}
