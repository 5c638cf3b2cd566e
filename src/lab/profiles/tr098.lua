-- Oktopus profile of a device with the lab's TR-098 model (`rcwmpd lab --model tr098`): access points, WAN connections, identity.
--
-- The model has no more: no diagnostics, hosts, bridges, ports or lines. A hook that is missing is a capability that the device lacks.

local WLAN = "InternetGatewayDevice.LANDevice.1.WLANConfiguration."
local WAN = "InternetGatewayDevice.WANDevice.1."
local CONNECTION = WAN .. "WANConnectionDevice.1."

local function escape(text)
    return (tostring(text):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function envelope(body)
    return [[<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
<soap:Header/><soap:Body>]] .. body .. "</soap:Body></soap:Envelope>"
end

local function set(list)
    if #list == 0 then return nil, "there is nothing to set" end
    local items = {}
    for _, item in ipairs(list) do
        items[#items + 1] = "<ParameterValueStruct><Name>" .. escape(item[1]) .. "</Name><Value xsi:type=\"xsd:" .. item[3]
            .. "\">" .. escape(item[2]) .. "</Value></ParameterValueStruct>"
    end
    return envelope("<cwmp:SetParameterValues><ParameterList soapenc:arrayType=\"cwmp:ParameterValueStruct[" .. #items .. "]\">"
        .. table.concat(items) .. "</ParameterList><ParameterKey/></cwmp:SetParameterValues>")
end

local function given(member)
    if type(member) == "table" then return member.value end
    return member
end

local function collect(list, path, input, fields)
    for _, field in ipairs(fields) do
        local value = given(input[field[1]])
        if value ~= nil then
            if field[3] == "boolean" then value = (value == true or value == "true" or value == "1") and "1" or "0" end
            list[#list + 1] = { path .. field[2], value, field[3] }
        end
    end
end

-- A list, one item alone, or a map of them: each, and an error for one without a path.
local function set_all(input, fields)
    local list = {}
    if type(input) == "table" and (input.path or input.ssid_path) then input = { input } end
    for _, item in pairs(input or {}) do
        local path = item.path or item.ssid_path
        if not path then return nil, "its path is missing" end
        collect(list, path, item, fields)
    end
    return set(list)
end

local function rows(values, path)
    local seen, out = {}, {}
    local pattern = "^" .. path:gsub("%p", "%%%0") .. "(%d+)%."
    for name in pairs(values) do
        local number = tonumber(name:match(pattern))
        if number and not seen[number] then
            seen[number] = true
            out[#out + 1] = { number = number, path = path .. number .. "." }
        end
    end
    table.sort(out, function(a, b) return a.number < b.number end)
    return out
end

local function pv(value, writable)
    return { value = value, writable = writable == true }
end

local function truth(text)
    return text == "1" or text == "true"
end

---------------------------------------------------------------------- what the profile knows

function get_vendor() return "Example", nil end
function get_data_model() return "TR-098", nil end

function get_device_capabilities()
    return { Radio = true, Ssid = true, Wifi = true, Interfaces = true, Ports = true, Hwinfo = true, Reboot = true, FactoryReset = true }, nil
end

function get_device_specs() return { DirectResult = false }, nil end
function is_real_time() return false, nil end
function get_wan_options() return { { protocol = "DHCP", type = "Ethernet", vlan = false }, { protocol = "PPPoE", type = "Ethernet", vlan = false } }, nil end

---------------------------------------------------------------------- Wi-Fi: in TR-098 a radio and its SSID are one object

function get_radio() return cwmp_get_params { WLAN } end

function parse_radio(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, WLAN)) do
        local function value(name) return values[row.path .. name] end
        out[#out + 1] = {
            path = row.path, enable = pv(truth(value "RadioEnabled"), true), channel = pv(tonumber(value "Channel"), true),
            auto_channel_enable = pv(truth(value "AutoChannelEnable"), true), operating_standards = pv({ value "Standard" }),
            max_bit_rate = pv(value "MaxBitRate", true),
        }
    end
    return out, nil
end

function set_radio(radios)
    return set_all(radios, {
        { "enable", "RadioEnabled", "boolean" }, { "channel", "Channel", "unsignedInt" },
        { "auto_channel_enable", "AutoChannelEnable", "boolean" }, { "max_bit_rate", "MaxBitRate", "string" },
    })
end

function get_ssid() return cwmp_get_params { WLAN } end

function parse_ssid(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, WLAN)) do
        local function value(name) return values[row.path .. name] end
        out[#out + 1] = {
            path = row.path, name = pv(value "Name"), enable = pv(truth(value "Enable"), true), ssid = pv(value "SSID", true),
            mac_address = pv(value "BSSID"), status = pv(value "Status"),
            security = { path = row.path, security_mode_enabled = pv(value "BeaconType", true) },
        }
    end
    return out, nil
end

function set_ssid(ssids)
    return set_all(ssids, { { "enable", "Enable", "boolean" }, { "ssid", "SSID", "string" }, { "key_passphrase", "KeyPassphrase", "string" } })
end

---------------------------------------------------------------------- WAN and LAN

function get_interface_wan() return cwmp_get_params { WAN } end

local function connection(values, path, kind)
    local function value(name) return values[path .. name] end
    local port = {
        path = path, name = pv(value "Name", true), alias = pv(value "Alias", true), enable = pv(truth(value "Enable"), true),
        status = pv(value "ConnectionStatus"), up = value "ConnectionStatus" == "Connected", type = kind,
        ipv4 = { { path = path, ip_address = pv(value "ExternalIPAddress", true) } },
    }
    if kind == "PPPoE" then port.pppoe = { path = path, username = pv(value "Username", true), connection_status = pv(value "ConnectionStatus") } end
    return port
end

local function parse_connections(response)
    local values, out = response_to_map(response), {}
    for table_name, kind in pairs { WANIPConnection = "DHCP", WANPPPConnection = "PPPoE" } do
        for _, row in ipairs(rows(values, CONNECTION .. table_name .. ".")) do
            out[row.path] = connection(values, row.path, kind)
        end
    end
    return out, nil
end

function parse_get_interface_wan(response) return parse_connections(response) end

function get_interface_lan() return cwmp_get_params { "InternetGatewayDevice.LANDevice." } end

function parse_get_interface_lan(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "InternetGatewayDevice.LANDevice.")) do
        out[row.path] = {
            path = row.path, alias = pv(values[row.path .. "Alias"], true), up = true, type = "LAN",
            access_points = tonumber(values[row.path .. "LANWLANConfigurationNumberOfEntries"]),
        }
    end
    return out, nil
end

function get_port() return cwmp_get_params { CONNECTION } end
function parse_get_port(response) return parse_connections(response) end

-- The members' names are the parameters' names in another writing: the host knows what to do.
function set_port() return nil, nil end

-- A PPPoE connection more, or what the path says.
function add_port(port)
    return envelope("<cwmp:AddObject><ObjectName>" .. escape(port and port.path or CONNECTION .. "WANPPPConnection.")
        .. "</ObjectName><ParameterKey/></cwmp:AddObject>")
end

---------------------------------------------------------------------- the device itself

function get_hwinfo() return cwmp_get_params { "InternetGatewayDevice.DeviceInfo." } end

function parse_get_hwinfo(response)
    local values = response_to_map(response)
    local function value(name) return values["InternetGatewayDevice.DeviceInfo." .. name] end
    return {
        manufacturer = value "Manufacturer", model_name = value "ModelName", serial_number = value "SerialNumber",
        software_version = value "SoftwareVersion", hardware_version = value "HardwareVersion", uptime_seconds = tonumber(value "UpTime"),
    }, nil
end
