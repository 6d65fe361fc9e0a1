// The server-side half: a few functions that Redis runs atomically, so that state and offset are one write (decision
// D2).
//
// Everything that can fail comes before the first write of a function: a function that fails half-way would not be
// rolled back. Functions of one name never change their meaning; a newer Millrace adds names and raises the version,
// so that daemons of two versions can share a Redis while one replaces the other.

enum FunctionLibrary {
    static let version: Int64 = 2
    static let versionFunction = "millrace_version"

    static let claim = "millrace_claim"
    static let commit = "millrace_commit"
    static let commitItems = "millrace_commit_items"
    static let layout = "millrace_layout"
    static let flip = "millrace_flip_checkpoint"
    static let trim = "millrace_trim_deltas"
    static let lease = "millrace_lease"

    static let source = #"""
        #!lua name=millrace

        -- Lua hands at most some 8000 values to one call; whole pairs need an even number.
        local VALUES_MAX = 2000

        local function corrupt(key, what)
          return redis.error_reply('CORRUPT ' .. key .. ': ' .. what)
        end

        -- Lua prints large numbers as 1.7e+15.
        local function digits(number)
          return string.format('%.0f', number)
        end

        -- The field as a number, 0 when absent, nil when it is something else.
        local function number_of(key, field)
          return tonumber(redis.call('HGET', key, field) or '0')
        end

        -- Runs command(key, ...) on args[first..last], VALUES_MAX values at a time.
        local function in_runs(command, key, args, first, last)
          for from = first, last, VALUES_MAX do
            redis.call(command, key, unpack(args, from, math.min(from + VALUES_MAX - 1, last)))
          end
        end

        -- Takes a partition over. keys: meta. Returns epoch, sequence, offset, digest, users, bytes.
        -- The epoch is at least the time in milliseconds: even when a crash loses the record of an earlier claim, the
        -- next one is higher, so that the earlier owner stays fenced.
        local function claim(keys, args)
          local meta = keys[1]
          local stored = number_of(meta, 'epoch')
          if not stored then return corrupt(meta, 'epoch is not a number') end
          local time = redis.call('TIME')
          local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
          redis.call('HSET', meta, 'epoch', digits(math.max(stored + 1, now)))
          return redis.call('HMGET', meta, 'epoch', 'sequence', 'offset', 'digest', 'users', 'bytes')
        end

        -- One fenced batch. keys: meta, users, deltas.
        -- args: epoch, sequence, offset ('' = none), digest, users, bytes, edits ('' = none),
        --       number of set pairs, user, blob, ..., then the users to delete.
        -- Returns {outcome, number}.
        local function commit(keys, args)
          local meta, users, deltas = keys[1], keys[2], keys[3]
          local epoch, sequence = number_of(meta, 'epoch'), number_of(meta, 'sequence')
          if not epoch or not sequence then return corrupt(meta, 'not a number') end
          local ours, wanted = tonumber(args[1]), tonumber(args[2])
          if epoch > ours then return {'FENCED', digits(epoch)} end
          if epoch < ours then return {'REGRESSED', digits(sequence)} end
          if sequence >= wanted then return {'COMMITTED', digits(sequence)} end
          if sequence < wanted - 1 then return {'REGRESSED', digits(sequence)} end

          redis.call('HLEN', users) -- fails here, before any write, when it is not a hash
          if args[7] ~= '' then
            local added = redis.pcall('XADD', deltas, args[2] .. '-0', 'e', args[7])
            if type(added) == 'table' and added.err then return corrupt(deltas, added.err) end
          end
          local last_pair = 8 + 2 * tonumber(args[8])
          in_runs('HSET', users, args, 9, last_pair)
          in_runs('HDEL', users, args, last_pair + 1, #args)
          redis.call('HSET', meta, 'sequence', args[2], 'digest', args[4], 'users', args[5],
            'bytes', args[6])
          if args[3] ~= '' then redis.call('HSET', meta, 'offset', args[3]) end
          return {'COMMITTED', args[2]}
        end

        -- Item records. keys: meta, items. args: offset, offset known to be stored ('' = unknown),
        --   number of set pairs, item, json, ..., then the items to delete. Whoever comes first writes.
        local function commit_items(keys, args)
          local meta, items = keys[1], keys[2]
          local stored, wanted = number_of(meta, 'offset'), tonumber(args[1])
          if not stored then return corrupt(meta, 'offset is not a number') end
          if args[2] ~= '' and stored < tonumber(args[2]) then return {'REGRESSED', digits(stored)} end
          if stored >= wanted then return {'COMMITTED', digits(stored)} end
          redis.call('HLEN', items)
          local last_pair = 3 + 2 * tonumber(args[3])
          in_runs('HSET', items, args, 4, last_pair)
          in_runs('HDEL', items, args, last_pair + 1, #args)
          redis.call('HSET', meta, 'offset', args[1])
          return {'COMMITTED', args[1]}
        end

        -- Records the layout when there is none. keys: layout. args: format, partitions, partitioner.
        -- Returns what is stored.
        local function layout(keys, args)
          if redis.call('HLEN', keys[1]) == 0 then
            redis.call('HSET', keys[1], 'format', args[1], 'partitions', args[2], 'partitioner', args[3])
          end
          return redis.call('HMGET', keys[1], 'format', 'partitions', 'partitioner')
        end

        -- Makes a complete checkpoint current, unless it is older in any partition.
        -- keys: pointer, chunks of the new version. args: version, number of chunks, run id the statistics were
        -- read under ('' = any: a Redis restarted since may have lost what they contain), then field, sequence, ...
        -- The version before is removed; its key shares the pointer's name and slot, but is only known here.
        local function flip_checkpoint(keys, args)
          local pointer, chunks = keys[1], keys[2]
          local current = redis.call('HGET', pointer, 'version')
          if current == args[1] then return 'CURRENT' end
          if args[3] ~= '' and not string.find(redis.call('INFO', 'server'), 'run_id:' .. args[3], 1, true) then
            redis.call('UNLINK', chunks)
            return 'STALE'
          end
          if redis.call('HLEN', chunks) ~= tonumber(args[2]) then return 'INCOMPLETE' end
          local sequences = {}
          for at = 4, #args, 2 do sequences[args[at]] = tonumber(args[at + 1]) end
          local fields = redis.call('HGETALL', pointer)
          for at = 1, #fields, 2 do
            if string.sub(fields[at], 1, 1) == 'p' then
              local stored = tonumber(fields[at + 1])
              if not stored then return corrupt(pointer, 'not a number') end
              if (sequences[fields[at]] or 0) < stored then
                redis.call('UNLINK', chunks)
                return 'OLDER'
              end
            end
          end
          redis.call('PERSIST', chunks)
          redis.call('DEL', pointer)
          redis.call('HSET', pointer, 'version', args[1], 'chunks', args[2])
          in_runs('HSET', pointer, args, 4, #args)
          if current then redis.call('UNLINK', pointer .. ':' .. current) end
          return 'CURRENT'
        end

        -- Drops the deltas up to a sequence that a checkpoint contains. keys: meta, deltas. args: sequence.
        -- `trimmed` becomes the sequence of the last delta that was dropped, not the one asked for: whoever has read
        -- that delta has missed nothing.
        local function trim_deltas(keys, args)
          local meta, deltas = keys[1], keys[2]
          local sequence = number_of(meta, 'sequence')
          if not sequence then return corrupt(meta, 'sequence is not a number') end
          if sequence < tonumber(args[1]) then return 0 end
          local last = redis.call('XREVRANGE', deltas, args[1] .. '-0', '-', 'COUNT', 1)[1]
          if not last then return 0 end
          local trimmed = string.match(last[1], '^%d+')
          redis.call('HSET', meta, 'trimmed', trimmed)
          return redis.call('XTRIM', deltas, 'MINID', '=', digits(tonumber(trimmed) + 1) .. '-0')
        end

        -- The right of one instance to refresh. keys: lease.
        -- args: 'take', milliseconds, owner | 'renew', milliseconds, token | 'release', '0', token.
        -- Returns the token that holds, or '' for a no. Tokens follow the clock, as epochs do: none comes twice.
        -- A lease that ran out is renewed as long as nobody took it.
        local function lease(keys, args)
          local key = keys[1]
          local token, till = number_of(key, 'token'), number_of(key, 'until')
          if not token or not till then return corrupt(key, 'not a number') end
          local time = redis.call('TIME')
          local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
          if args[1] == 'take' then
            if till > now then return '' end
            token = math.max(token + 1, now)
            redis.call('HSET', key, 'token', digits(token), 'until', digits(now + tonumber(args[2])),
              'owner', args[3])
          else
            if token ~= tonumber(args[3]) then return '' end
            redis.call('HSET', key, 'until', digits(now + tonumber(args[2])))
          end
          return digits(token)
        end

        redis.register_function{function_name = 'millrace_version', flags = {'no-writes'},
          callback = function() return \#(version) end}
        redis.register_function('millrace_claim', claim)
        redis.register_function('millrace_commit', commit)
        redis.register_function('millrace_commit_items', commit_items)
        redis.register_function('millrace_layout', layout)
        redis.register_function('millrace_flip_checkpoint', flip_checkpoint)
        redis.register_function('millrace_trim_deltas', trim_deltas)
        redis.register_function('millrace_lease', lease)
        """#
}
