# The macros that a scripted extension calls.

set(EXTENSION_NAME "${PROJECT_NAME}")
option(BUILD_TESTING "Register the tests" ON)
if(BUILD_TESTING)
  enable_testing()
endif()

# Copies the listed scripts and resources into the build tree and installs them from there.
#
#   NAME               the module's name
#   SCRIPTS RESOURCES  files, relative to the calling folder, whose subfolders are kept
#   WITH_SUBDIR        places them in a folder named as the calling one, instead of directly into
#                      qt-scripted-modules
#   WITH_GENERIC_TESTS registers Slicer's generic module test
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MODULE
    "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES")
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown arguments of slicerMacroBuildScriptedModule: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT MODULE_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule needs NAME")
  endif()
  foreach(script IN LISTS MODULE_SCRIPTS)
    if(NOT script MATCHES "\\.py$")
      message(FATAL_ERROR "SCRIPTS of ${MODULE_NAME} must be Python files, not '${script}'")
    endif()
  endforeach()

  set(files ${MODULE_SCRIPTS} ${MODULE_RESOURCES})
  set(unique_files ${files})
  list(REMOVE_DUPLICATES unique_files)
  if(NOT files STREQUAL unique_files)
    message(FATAL_ERROR "A file of ${MODULE_NAME} is listed twice")
  endif()

  set(subfolder "")
  if(MODULE_WITH_SUBDIR)
    get_filename_component(subfolder "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    set(subfolder "/${subfolder}")
  endif()
  set(copies)
  foreach(file IN LISTS files)
    set(source "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    if(NOT EXISTS "${source}" OR IS_DIRECTORY "${source}")
      message(FATAL_ERROR "${MODULE_NAME} lists a file that does not exist: '${file}'")
    endif()
    set(copy "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}${subfolder}/${file}")
    add_custom_command(OUTPUT "${copy}"
      COMMAND ${CMAKE_COMMAND} -E copy "${source}" "${copy}"
      DEPENDS "${source}"
      VERBATIM)
    list(APPEND copies "${copy}")
    get_filename_component(folder "${file}" DIRECTORY)
    install(FILES "${copy}"
      DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}${subfolder}/${folder}")
  endforeach()
  add_custom_target(Copy${MODULE_NAME} ALL DEPENDS ${copies})

  if(BUILD_TESTING AND MODULE_WITH_GENERIC_TESTS)
    _register_slicer_test("py_nomainwindow_qSlicer${MODULE_NAME}ModuleGenericTest")
  endif()
endfunction()

# Registers a unittest file that Slicer runs.
function(slicer_add_python_unittest)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS")
  if(TEST_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown arguments of slicer_add_python_unittest: ${TEST_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(script "${TEST_SCRIPT}" ABSOLUTE)
  if(NOT EXISTS "${script}" OR IS_DIRECTORY "${script}")
    message(FATAL_ERROR "slicer_add_python_unittest: '${TEST_SCRIPT}' does not exist")
  endif()
  get_filename_component(name "${script}" NAME_WE)
  _register_slicer_test("py_${TEST_TESTNAME_PREFIX}${name}")
endfunction()

# `ctest` lists the test as one that does not run: only Slicer can run it.
function(_register_slicer_test name)
  add_test(NAME "${name}" COMMAND ${CMAKE_COMMAND} -E false)
  set_tests_properties("${name}" PROPERTIES DISABLED TRUE LABELS "needs-slicer")
endfunction()
