import Foundation
import PumiceModel
import Testing

@testable import PumiceAgent

struct DeviceCallsTests {
  @Test func theResultOrTheErrorIsPassedOn() async throws {
    let value = try await DeviceCalls.run(within: .seconds(30), "Asking") { () throws(StorageError) in 7 }
    #expect(value == 7)
    let error = await #expect(throws: StorageError.self) {
      try await DeviceCalls.run(within: .seconds(30), "Asking") { () throws(StorageError) in
        throw StorageError(.inUse, "Busy.")
      }
    }
    #expect(error?.code == .inUse)
  }

  @Test func aCallThatHangsIsNotWaitedForLonger() async throws {
    let release = DispatchSemaphore(value: 0)
    let ended = DispatchSemaphore(value: 0)
    let error = await #expect(throws: StorageError.self) {
      try await DeviceCalls.run(within: .milliseconds(50), "Asking /dev/sdz") { () throws(StorageError) in
        release.wait()
        ended.signal()
      }
    }
    #expect(error?.code == .timeout)
    #expect(error?.message.hasPrefix("Asking /dev/sdz did not end within ") == true)
    release.signal()
    try await BlockingCalls.run { () throws(StorageError) in ended.wait() }
  }
}
