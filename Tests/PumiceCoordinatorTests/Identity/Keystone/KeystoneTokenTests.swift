import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct KeystoneTokenTests {
  /// As Keystone 22 of Debian 12 answered, with `nocatalog`.
  private static func answer(
    roles: String = #"{"id": "645617a2", "name": "reader"}, {"id": "b85cd8ce", "name": "member"}"#,
    project: String = #", "project": {"id": "5c58", "name": "demo", "domain": {"id": "default", "name": "Default"}}"#,
    expires: String = "2026-11-22T07:35:12.000000Z"
  ) -> [UInt8] {
    Array(
      """
      {"token": {"methods": ["password"], "user": {"domain": {"id": "default", "name": "Default"}, "id": "632c",
       "name": "alice", "password_expires_at": null}, "audit_ids": ["q"], "expires_at": "\(expires)",
       "issued_at": "2026-11-22T06:35:12.000000Z"\(project), "is_domain": false, "roles": [\(roles)]}}
      """.utf8)
  }

  @Test func aTokenIsReadWithItsGreatestRole() throws {
    let token = try KeystoneToken(Self.answer())
    #expect(token.user == "632c" && token.project == "5c58" && token.role == .member)
    #expect(token.expires.zulu == "2026-11-22T07:35:12Z")
  }

  @Test(arguments: [
    (#"{"id": "1", "name": "admin"}"#, Role.admin), (#"{"id": "1", "name": "Admin"}"#, .admin),
    (#"{"id": "1", "name": "service"}"#, .service), (#"{"id": "1", "name": "manager"}"#, .member),
    (#"{"id": "1", "name": "reader"}, {"id": "2", "name": "heat_stack_user"}"#, .reader),
    (#"{"id": "1", "name": "heat_stack_user"}"#, nil), ("", nil),
  ])
  func rolesAreKnownByTheirNames(roles: String, role: Role?) throws {
    #expect(try KeystoneToken(Self.answer(roles: roles)).role == role)
  }

  @Test func aTokenMayBeForNoProject() throws {
    #expect(try KeystoneToken(Self.answer(project: "")).project == nil)
  }

  @Test(arguments: ["{}", "[]", "", #"{"token": {"user": {"id": "1"}}}"#])
  func whatIsNoAnswerIsAnError(text: String) {
    #expect(throws: StorageError.self) { try KeystoneToken(Array(text.utf8)) }
    #expect(throws: StorageError.self) { try KeystoneToken(Self.answer(expires: "soon")) }
  }
}

@Suite struct ExpiringCacheTests {
  @Test func aValueIsGoodUntilItsTime() {
    var cache = ExpiringCache<Int, String>(limit: 4)
    cache.keep("a", for: 1, until: .start + .seconds(1), at: .start)
    #expect(cache.value(1, at: .start) == "a")
    #expect(cache.value(1, at: .start + .seconds(1)) == nil)
  }

  @Test func itNeverHasMoreThanItsLimitAndForgetsFirstWhatEndsFirst() {
    var cache = ExpiringCache<Int, Int>(limit: 8)
    for key in 0..<1000 {
      cache.keep(key, for: key, until: .start + .seconds(Int64(key) + 1), at: .start)
      #expect(cache.count <= 8)
      #expect(cache.value(key, at: .start) == key)
    }
    #expect(cache.value(0, at: .start) == nil)
  }

  @Test func whatIsOverMakesRoomForTheRest() {
    var cache = ExpiringCache<Int, Int>(limit: 2)
    cache.keep(1, for: 1, until: .start + .seconds(1), at: .start)
    cache.keep(2, for: 2, until: .start + .seconds(9), at: .start)
    cache.keep(3, for: 3, until: .start + .seconds(9), at: .start + .seconds(2))
    #expect(cache.value(2, at: .start + .seconds(2)) == 2 && cache.value(3, at: .start + .seconds(2)) == 3)
  }

  @Test func valuesThatEndTogetherLeaveRoom() {
    var cache = ExpiringCache<Int, Int>(limit: 4)
    for key in 0..<50 {
      cache.keep(key, for: key, until: .start + .seconds(5), at: .start)
      #expect(cache.count <= 4)
    }
  }
}
