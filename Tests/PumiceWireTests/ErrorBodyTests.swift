import PumiceModel
import PumiceWire
import Testing

@Suite struct ErrorBodyTests {
  @Test(arguments: StorageError.Code.allCases) func everyCodeSurvivesTheWire(code: StorageError.Code) throws {
    let error = StorageError(code, "A message.", field: "size")
    let bytes = try WireJSON.encode(ErrorBody(error))
    let back = try WireJSON.decode(ErrorBody.self, from: bytes).storageError(status: code.httpStatus)
    #expect(back.code == code)
    #expect(back.message == "A message.")
    #expect(back.field == "size")
  }

  @Test(arguments: StorageError.Code.allCases) func everyCodeHasAnErrorStatus(code: StorageError.Code) {
    #expect((400..<600).contains(code.httpStatus))
  }

  @Test func whatThePeerDidWrongIsItsFaultAndWhatWeDidIsOurs() {
    let theirs: Set<StorageError.Code> = [
      .invalid, .unauthenticated, .forbidden, .notFound, .conflict, .inUse, .wrongDevice, .stale, .overQuota, .busy,
    ]
    for code in StorageError.Code.allCases { #expect((code.httpStatus < 500) == theirs.contains(code), "\(code)") }
  }

  @Test func aCodeThatIsNotKnownFollowsFromTheStatus() throws {
    let bytes = Array(#"{"error": {"code": "meltdown", "message": "No."}}"#.utf8)
    let body = try WireJSON.decode(ErrorBody.self, from: bytes)
    #expect(body.storageError(status: 503).code == .unavailable)
    #expect(body.storageError(status: 418).code == .invalid)
    #expect(body.storageError(status: 599).code == .failed)
  }

  @Test func theFormIsWhatIsDocumented() throws {
    let bytes = try WireJSON.encode(ErrorBody(.invalid("size", "must be positive.")))
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == #"{"error":{"code":"invalid","field":"size","message":"size must be positive."}}"#)
  }
}
