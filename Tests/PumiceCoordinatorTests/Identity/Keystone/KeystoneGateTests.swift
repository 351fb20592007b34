import HTTPTypes
import Logging
import PumiceIdentity
import PumiceModel
import Synchronization
import Testing

@testable import PumiceCoordinator

@Suite struct KeystoneGateTests {
  private static let alice = KeystoneToken(
    user: "alice", project: "demo", role: .member, expires: .start + .seconds(600))

  private static func gate(_ keystone: ScriptedKeystone, _ clock: HandClock) -> KeystoneGate {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return KeystoneGate(keystone, cacheTime: .seconds(60), now: { clock.now }, logger: logger)
  }

  /// The code of the error, or `nil` where somebody is let in.
  private static func refusal(_ gate: KeystoneGate, _ token: String) async -> StorageError.Code? {
    do throws(StorageError) {
      _ = try await gate.token(token)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func whatKeystoneSaidIsGoneByForAWhile() async throws {
    let (keystone, clock) = (ScriptedKeystone(["a": Self.alice]), HandClock())
    let gate = Self.gate(keystone, clock)
    for _ in 0..<3 { #expect(try await gate.token("a") == Self.alice) }
    #expect(keystone.asked == ["a"])
    clock.advance(by: .seconds(59))
    _ = try await gate.token("a")
    #expect(keystone.asked == ["a"])
    clock.advance(by: .seconds(1))
    _ = try await gate.token("a")
    #expect(keystone.asked == ["a", "a"])
  }

  @Test func aRevokedTokenIsWorthNothingWhenItsTimeInTheCacheIsOver() async throws {
    let (keystone, clock) = (ScriptedKeystone(["a": Self.alice]), HandClock())
    let gate = Self.gate(keystone, clock)
    _ = try await gate.token("a")
    keystone.tokens = [:]
    #expect(await Self.refusal(gate, "a") == nil)
    clock.advance(by: .seconds(60))
    #expect(await Self.refusal(gate, "a") == .unauthenticated)
  }

  @Test func noTokenOutlivesItself() async throws {
    let short = KeystoneToken(user: "alice", project: "demo", role: .member, expires: .start + .seconds(30))
    let (keystone, clock) = (ScriptedKeystone(["a": short]), HandClock())
    let gate = Self.gate(keystone, clock)
    _ = try await gate.token("a")
    clock.advance(by: .seconds(30))
    // Even if Keystone's clock is late.
    #expect(await Self.refusal(gate, "a") == .unauthenticated)
  }

  @Test func aWrongTokenIsRememberedForMoments() async throws {
    let (keystone, clock) = (ScriptedKeystone([:]), HandClock())
    let gate = Self.gate(keystone, clock)
    for _ in 0..<5 { #expect(await Self.refusal(gate, "x") == .unauthenticated) }
    #expect(keystone.asked == ["x"])
    keystone.tokens = ["x": Self.alice]
    clock.advance(by: KeystoneGate.refusalTime)
    #expect(await Self.refusal(gate, "x") == nil)
  }

  @Test(arguments: ["", " a", "a b", "a\n", "ä", String(repeating: "x", count: KeystoneGate.lengthLimit + 1)])
  func whatCanBeNoTokenIsNotAskedAbout(text: String) async throws {
    let (keystone, clock) = (ScriptedKeystone([text: Self.alice]), HandClock())
    #expect(await Self.refusal(Self.gate(keystone, clock), text) == .unauthenticated)
    #expect(keystone.asked.isEmpty)
  }

  @Test func manyWithOneTokenAskOnce() async throws {
    let (keystone, clock) = (ScriptedKeystone(["a": Self.alice]), HandClock())
    let gate = Self.gate(keystone, clock)
    keystone.isHeld.value = true
    try await withThrowingTaskGroup(of: KeystoneToken.self) { group in
      for _ in 0..<20 { group.addTask { try await gate.token("a") } }
      while keystone.asked.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
      keystone.isHeld.value = false
      for try await token in group { #expect(token == Self.alice) }
    }
    #expect(keystone.asked == ["a"])
  }

  @Test func whoGoesAwayWhileAskingSpoilsNothingForOthers() async throws {
    let (keystone, clock) = (ScriptedKeystone(["a": Self.alice]), HandClock())
    let gate = Self.gate(keystone, clock)
    keystone.isHeld.value = true
    let first = Task { try await gate.token("a") }
    while keystone.asked.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
    let second = Task { try await gate.token("a") }
    first.cancel()
    _ = await first.result
    keystone.isHeld.value = false
    #expect(try await second.value == Self.alice)
    #expect(try await gate.token("a") == Self.alice)
  }

  @Test func whileKeystoneIsAwayThoseThatAreKnownGoOnAndOthersAreToldSo() async throws {
    let (keystone, clock) = (ScriptedKeystone(["a": Self.alice, "b": Self.alice]), HandClock())
    let gate = Self.gate(keystone, clock)
    _ = try await gate.token("a")
    keystone.outage = StorageError(.unavailable, "Keystone at http://k can't be reached.")
    for _ in 0..<5 { #expect(await Self.refusal(gate, "b") == .unavailable) }
    #expect(await Self.refusal(gate, "a") == nil)
    #expect(keystone.asked == ["a", "b"])

    // After 1, 2, 4 … seconds it is looked whether it is back, and no more often.
    for (count, wait) in [1, 2, 4, 8, 16].enumerated() {
      clock.advance(by: .seconds(wait) - .milliseconds(1))
      #expect(await Self.refusal(gate, "b") == .unavailable)
      #expect(keystone.asked.count == 2 + count)
      clock.advance(by: .milliseconds(1))
      #expect(await Self.refusal(gate, "b") == .unavailable)
      #expect(keystone.asked.count == 3 + count)
    }
    keystone.outage = nil
    clock.advance(by: .seconds(30))
    #expect(await Self.refusal(gate, "b") == nil)
    #expect(await Self.refusal(gate, "a") == nil)
    #expect(keystone.asked.suffix(2) == ["b", "a"])
  }

  @Test func callersAreWhoKeystoneSaysTheyAre() async throws {
    let clock = HandClock()
    func token(_ role: Role?, in project: String?) -> KeystoneToken {
      KeystoneToken(user: "id-of-somebody", project: project, role: role, expires: .start + .seconds(600))
    }
    let keystone = ScriptedKeystone([
      "member": token(.member, in: "demo"), "reader": token(.reader, in: "demo"), "other": token(.member, in: "other"),
      "service": token(.service, in: "service"), "admin": token(.admin, in: "admin"), "nobody": token(nil, in: "demo"),
      "unscoped": token(nil, in: nil),
    ])
    try await withCoordinator(mode: .keystone(Self.gate(keystone, clock))) { (coordinator) async throws in
      let body = #"{"volume": {"size": 1}}"#
      let made = try await coordinator.send(.post, "/v3/volumes", body, token: "member")
      #expect(made.status == 202 && made["volume"]["user_id"] == .string("id-of-somebody"))
      let path = "/v3/volumes/\(try #require(made["volume"]["id"].string))"
      for (who, status) in [
        ("member", 200), ("reader", 200), ("other", 404), ("service", 200), ("admin", 200), ("nobody", 403),
        ("unscoped", 403), ("wrong", 401),
      ] {
        #expect(try await coordinator.get(path, token: who).status == status, "\(who)")
      }
      #expect(try await coordinator.get(path).status == 401)
      #expect(try await coordinator.send(.post, "/v3/volumes", body, token: "reader").status == 403)
      #expect(try await coordinator.send(.post, "/v3/demo/volumes", body, token: "service").status == 202)
      #expect(try await coordinator.get("/v3/os-services", token: "service").status == 403)
      keystone.outage = StorageError(.unavailable, "Keystone is away.")
      #expect(try await coordinator.get(path, token: "member").status == 200)
      let away = try await coordinator.get(path, token: "another")
      #expect(away.status == 503 && away.message.contains("Keystone is away."))
    }
  }

  @Test func aServiceVouchesForATokenAtItsEndForAsLongAsItMay() async throws {
    let (keystone, clock) = (ScriptedKeystone([:]), HandClock())
    let gate = Self.gate(keystone, clock)
    keystone.expired = ["a": Self.alice]
    clock.advance(by: .seconds(600))
    #expect(await Self.refusal(gate, "a") == .unauthenticated)
    // That it is worth nothing by itself says nothing of this.
    #expect(try await gate.token("a", isVouchedFor: true) == Self.alice)
    #expect(await Self.refusal(gate, "a") == .unauthenticated)
    #expect(keystone.asked == ["a", "a"])
    clock.advance(by: Token.vouchedTime - .milliseconds(1))
    #expect(try await gate.token("a", isVouchedFor: true) == Self.alice)
    // Keystone may have another measure; and what is remembered goes no further.
    clock.advance(by: .milliseconds(1))
    await #expect(throws: StorageError.self) { try await gate.token("a", isVouchedFor: true) }
  }

  @Test func onlyServicesVouchForOthers() async throws {
    let clock = HandClock()
    func token(_ role: Role?, in project: String?) -> KeystoneToken {
      KeystoneToken(user: "somebody", project: project, role: role, expires: .start + .seconds(7200))
    }
    let keystone = ScriptedKeystone([
      "member": token(.member, in: "demo"), "nova": token(.service, in: "service"), "admin": token(.admin, in: "admin"),
      "nobody": token(nil, in: nil),
    ])
    keystone.expired = ["alice": Self.alice]
    clock.advance(by: .seconds(3600))
    try await withCoordinator(mode: .keystone(Self.gate(keystone, clock))) { (coordinator) async throws in
      func status(_ user: String?, _ service: String, _ path: String = "/v3/volumes") async throws -> Int {
        try await coordinator.send(.get, path, token: user, headers: ["X-Service-Token": service]).status
      }
      for service in ["nova", "admin"] {
        #expect(try await status("alice", service) == 200)
        #expect(try await status("member", service) == 200)
        #expect(try await status("wrong", service) == 401)
        #expect(try await status(nil, service) == 401)
        // It is the user who asks, and nobody more.
        #expect(try await status("alice", service, "/v3/os-services") == 403)
        #expect(try await status("alice", service, "/v3/other/volumes") == 400)
      }
      for service in ["", "wrong", "member", "nobody", "alice"] {
        #expect(try await status("alice", service) == 401, "\(service)")
        #expect(try await status("member", service) == 401, "\(service)")
      }
      #expect(try await coordinator.get("/v3/volumes", token: "alice").status == 401)
      keystone.outage = StorageError(.unavailable, "Keystone is away.")
      #expect(try await status("member", "another") == 503)
    }
  }

  @Test func aMessageSaysWhatIsAway() async throws {
    let (keystone, clock) = (ScriptedKeystone([:]), HandClock())
    let gate = Self.gate(keystone, clock)
    keystone.outage = StorageError(.unavailable, "Keystone at http://k can't be reached.")
    let error = await #expect(throws: StorageError.self) { try await gate.token("a") }
    #expect(error?.message.contains("Keystone at http://k can't be reached.") == true)
    #expect(error.map { APIError($0).status.code } == 503)
  }
}

/// A Keystone as a test says it is.
private final class ScriptedKeystone: TokenAuthority {
  private struct State {
    var tokens: [String: KeystoneToken]
    var expired: [String: KeystoneToken] = [:]
    var outage: StorageError?
    var asked: [String] = []
  }

  private let state: Mutex<State>
  /// Whether answers are held back.
  let isHeld = Flag(false)

  init(_ tokens: [String: KeystoneToken]) { state = Mutex(State(tokens: tokens)) }

  var tokens: [String: KeystoneToken] {
    get { state.withLock { $0.tokens } }
    set { state.withLock { $0.tokens = newValue } }
  }

  /// What is told only of tokens that may be at their end.
  var expired: [String: KeystoneToken] {
    get { state.withLock { $0.expired } }
    set { state.withLock { $0.expired = newValue } }
  }

  var outage: StorageError? {
    get { state.withLock { $0.outage } }
    set { state.withLock { $0.outage = newValue } }
  }

  var asked: [String] { state.withLock { $0.asked } }

  func token(_ text: String, allowsExpired: Bool) async throws(StorageError) -> KeystoneToken? {
    state.withLock { $0.asked.append(text) }
    do {
      while isHeld.value { try await Task.sleep(for: .milliseconds(1)) }
    } catch {
      throw StorageError(.unavailable, "Asking was cancelled.")
    }
    let state = state.withLock { $0 }
    if let outage = state.outage { throw outage }
    return (allowsExpired ? state.expired[text] : nil) ?? state.tokens[text]
  }
}

/// A clock that goes on when it is told to.
private final class HandClock: Sendable {
  private let moment = Mutex(Timestamp.start)

  var now: Timestamp { moment.withLock { $0 } }

  func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }
}
