-- caffe-lint in Neovim 0.7 and later, without a plugin. Put it into ~/.config/nvim/plugin/caffe-lint.lua.
vim.api.nvim_create_autocmd({ "BufRead", "BufNewFile" }, {
  pattern = { "*.prototxt", "*.pbtxt", "*.txtpb" },
  callback = function()
    vim.bo.filetype = "prototxt"
    vim.bo.commentstring = "# %s"
  end,
})

local function root_of(path)
  local folder = vim.fn.fnamemodify(path, ":p:h")
  for _, marker in ipairs({ "caffe-lint.toml", ".git", ".hg" }) do
    local found = vim.fn.finddir(marker, folder .. ";")
    if found == "" then
      found = vim.fn.findfile(marker, folder .. ";")
    end
    if found ~= "" then
      return vim.fn.fnamemodify(found, ":p:h" .. (vim.fn.isdirectory(found) == 1 and ":h" or ""))
    end
  end
  return folder
end

local running = {} -- the client of each root

vim.api.nvim_create_autocmd("FileType", {
  pattern = "prototxt",
  callback = function(event)
    local root = root_of(vim.api.nvim_buf_get_name(event.buf))
    if not running[root] then
      running[root] = vim.lsp.start_client({
        name = "caffe-lint",
        cmd = { vim.g.caffe_lint_python or "python3", "-m", "caffe_lint", "server" },
        root_dir = root,
        init_options = { formatting = false },
        on_exit = function()
          running[root] = nil
        end,
      })
    end
    if running[root] then
      vim.lsp.buf_attach_client(event.buf, running[root])
    end
  end,
})
