// The lease of the instance that refreshes the model, with a token that fences those who held it before.

public import Ports

extension RedisStateStore: LeaseStore {
    public func takeLease(
        owner: String, milliseconds: Int64,
        completion: @escaping @Sendable (Result<Int64?, PortError>) -> Void
    ) {
        lease(["take", String(milliseconds), owner], completion: completion)
    }

    public func renewLease(
        token: Int64, milliseconds: Int64,
        completion: @escaping @Sendable (Result<Bool, PortError>) -> Void
    ) {
        lease(["renew", String(milliseconds), String(token)]) { result in
            completion(result.map { $0 != nil })
        }
    }

    public func releaseLease(token: Int64) {
        lease(["release", "0", String(token)]) { _ in }
    }

    /// Taking twice, after a lost answer, is refused until the first one runs out: late, never wrong.
    private func lease(
        _ arguments: [String],
        completion: @escaping @Sendable (Result<Int64?, PortError>) -> Void
    ) {
        write(
            Step(
                patience: .failsAtOnce,
                encode: { [keys] buffer in
                    buffer.begin(4 + arguments.count)
                    for word in ["FCALL", FunctionLibrary.lease, "1"] { buffer.add(word) }
                    buffer.add(keys.lease)
                    for argument in arguments { buffer.add(argument) }
                },
                accept: { replies throws(PortError) in
                    let text = try replies[0].text("lease")
                    completion(.success(text.isEmpty ? nil : Int64(text)))
                },
                fail: { completion(.failure($0)) }))
    }
}
