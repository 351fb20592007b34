import Foundation
import PumiceModel
import Synchronization
import Testing

@testable import PumiceAgent

struct ShareCallsTests {
  /// Stands for a server: as long as it is away, the kernel holds every call.
  private final class Server: Sendable {
    private let isAway = Mutex(true)
    let calls = Atomic(0)

    func ask() -> Int {
      let number = calls.add(1, ordering: .sequentiallyConsistent).newValue
      while isAway.withLock({ $0 }) { usleep(1000) }
      return number
    }

    func comeBack() { isAway.withLock { $0 = false } }
  }

  @Test(.timeLimit(.minutes(1))) func onceACallIsLateOthersAreRefusedAtOnceUntilItIsBack() async throws {
    let (server, calls) = (Server(), ShareCalls("nas:/a"))
    let late = await #expect(throws: StorageError.self) {
      try await calls.run(within: .milliseconds(100), "Asking") { () throws(StorageError) in server.ask() }
    }
    #expect(late?.code == .timeout)
    #expect(calls.isHeld)
    for _ in 0..<100 {
      let error = await #expect(throws: StorageError.self) {
        try await calls.run(within: .seconds(30), "Reading") { () throws(StorageError) in server.ask() }
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("nas:/a") == true && error?.message.contains("Asking") == true)
    }
    #expect(server.calls.load(ordering: .sequentiallyConsistent) == 1)

    server.comeBack()
    while calls.isHeld { try await Task.sleep(for: .milliseconds(5)) }
    #expect(try await calls.run(within: .seconds(30), "Asking") { () throws(StorageError) in server.ask() } == 2)
  }

  @Test(.timeLimit(.minutes(1))) func aDeadServerHoldsNoMoreCallsThanThereAreLanes() async throws {
    let (server, calls) = (Server(), ShareCalls("nas:/a"))
    let codes = await withTaskGroup(of: StorageError.Code?.self) { group in
      for _ in 0..<50 {
        group.addTask {
          do throws(StorageError) {
            _ = try await calls.run(within: .milliseconds(200), "Asking") { () throws(StorageError) in server.ask() }
            return nil
          } catch {
            return error.code
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(codes.allSatisfy { $0 == .timeout || $0 == .unavailable })
    #expect(server.calls.load(ordering: .sequentiallyConsistent) <= 4)
    server.comeBack()
    while calls.isHeld { try await Task.sleep(for: .milliseconds(5)) }
  }

  @Test func whatACallThrowsIsPassedOnAndHoldsNobody() async throws {
    let calls = ShareCalls("nas:/a")
    for code in [StorageError.Code.noSpace, .timeout] {
      let error = await #expect(throws: StorageError.self) {
        try await calls.run(within: .seconds(30), "Writing") { () throws(StorageError) in
          throw StorageError(code, "It is full.")
        }
      }
      #expect(error?.code == code)
      #expect(!calls.isHeld)
    }
  }
}
