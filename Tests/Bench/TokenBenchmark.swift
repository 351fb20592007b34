import Foundation
import TestBed

/// What it costs that a coordinator has users: the same question to one that asks for no token, and to one that checks a token which
/// it has given out itself. One connection, so that the rate is the time of a request.
enum TokenBenchmark {
  static func run(_ report: inout Report) async throws {
    let (open, checked) = try await Bed.with { bed in
      let users = bed.folder.file("users.json")
      let password = try bed.folder.write("a password for benches\n", to: "password")
      try await bed.run([
        try Binaries.path("pumice"), "user", "add", "alice", "--project", "demo", "--role", "member",
        "--password-file", password, "--file", users,
      ])
      let plain = try CoordinatorDaemon(in: bed, extra: "log_level: warning")
      try await plain.daemon.start()
      return try await Bed.with { other in
        let builtin = try CoordinatorDaemon(
          in: other, authentication: "auth: builtin\nusers_file: \(users)", extra: "log_level: warning")
        try await builtin.daemon.start()
        let token = try await Self.token(from: builtin, in: other)
        var times: (open: [Double], checked: [Double]) = ([], [])
        for _ in 0..<3 {
          times.open.append(try await time(of: plain, token: nil, in: bed))
          times.checked.append(try await time(of: builtin, token: token, in: other))
        }
        return (times.open.percentile(0.5), times.checked.percentile(0.5))
      }
    }
    report.add(
      "token of our own, checked with each request", "\(format(checked - open, 3)) ms on top of \(format(open, 3)) ms",
      promise: "< 0.2 ms", holds: checked - open < 0.2)
  }

  private static func token(from coordinator: CoordinatorDaemon, in bed: Bed) async throws -> String {
    let order = """
      {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "alice", "domain": {"id": "default"},
       "password": "a password for benches"}}}, "scope": {"project": {"name": "demo", "domain": {"id": "default"}}}}}
      """
    let said = try await bed.run([
      "curl", "--silent", "--fail", "--include", "--header", "Content-Type: application/json", "--data", order,
      "\(coordinator.url)/identity/v3/auth/tokens",
    ])
    let name = "x-subject-token:"
    guard let line = said.split(whereSeparator: \.isNewline).first(where: { $0.lowercased().hasPrefix(name) }) else {
      throw TestBedFailure("No token was given out: \(said)")
    }
    return line.dropFirst(name.count).trimmingCharacters(in: .whitespaces)
  }

  /// In milliseconds.
  private static func time(of coordinator: CoordinatorDaemon, token: String?, in bed: Bed) async throws -> Double {
    let header = token.map { ["-H", "X-Auth-Token: \($0)"] } ?? []
    let rate = try await requestRate(
      of: "\(coordinator.url)/v3/demo/types/default", ["-t1", "-c1", "-d3s"] + header, in: bed)
    return 1000 / rate
  }
}
